/**
 * The main module of a process of bots. `remote_group.ts` starts it and calls it over the IPC channel.
 *
 * @module
 */

import process from "node:process";
import { detectRuntime } from "../../runtime/detect.ts";
import { createDialect } from "../dialects/dialects.ts";
import { LocalGroup } from "./local_group.ts";
import type { FromWorker, ToWorker } from "./remote_group.ts";
import type { BotGroup } from "./group.ts";

const runtime = await detectRuntime();
let group: BotGroup | undefined;

function say(message: FromWorker): void {
  process.send!(message);
}

function answer(call: ToWorker["call"]): Promise<unknown> {
  if (call === "setUp" || call === "gather") return group![call]((progress) => say({ progress }));
  return group![call]();
}

process.on("message", async (message: ToWorker) => {
  if (message.plan !== undefined) {
    const { plan } = message;
    const { dialect, keys, resumption } = plan;
    group = new LocalGroup(runtime, createDialect(dialect, plan, keys, resumption !== null), plan);
  }
  say({ id: message.id, value: await answer(message.call) });
});

// Ctrl-C reaches every process of the terminal. The leading process decides what to do, and disconnects.
process.on("SIGINT", () => {});
process.on("disconnect", () => process.exit());

say({ isReady: true });
