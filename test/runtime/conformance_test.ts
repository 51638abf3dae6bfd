import process from "node:process";
import { detectRuntime } from "../../runtime/detect.ts";
import { dialRawPeer } from "../support/raw_peer.ts";
import type { Capabilities } from "./bed.ts";
import { conformance } from "./conformance.ts";

const lacks: Record<string, Capabilities["lacks"]> = {
  bun: {
    "accept errors": "Bun says nothing of accepts that fail for want of descriptors",
    "deep backlog": "Bun's backlog is 512, whatever it is asked for",
  },
  deno: process.platform === "linux"
    ? {}
    : { "deep backlog": "elsewhere than on Linux the system's own limit is lower" },
};

conformance(detectRuntime, {
  dialRawPeer: (_runtime, address) => dialRawPeer(address),
  lacks: lacks[(await detectRuntime()).name]!,
});
