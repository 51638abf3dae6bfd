import process from "node:process";
import { detectRuntime } from "../../../runtime/detect.ts";
import { dialRawPeer } from "../../support/clients/raw_peer.ts";
import type { Feature } from "./bed.ts";
import { conformance } from "./conformance.ts";

const lacks: { -readonly [feature in Feature]?: string } = {};
if (process.platform !== "linux") {
  lacks["deep backlog"] = "elsewhere than on Linux the system's own limit is lower";
  lacks["keep-alive"] = "only Linux shows which timers a connection has";
}
if ((await detectRuntime()).name === "bun") {
  lacks["accept errors"] = "Bun says nothing of accepts that fail for want of descriptors";
  lacks["held records"] = "Bun doesn't say what its engine of TLS holds";
  lacks["reads in turns"] = "Bun reads all that is there when it looks";
  lacks["waiting accepts"] = "Bun accepts by itself";
} else {
  lacks["arrived bytes"] = "Deno reads when its loop turns";
}

conformance(detectRuntime, {
  dialRawPeer: (_runtime, address, tls) => dialRawPeer(address, tls),
  lacks,
});
