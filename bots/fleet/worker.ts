/**
 * A process of bots, started and led over its IPC channel by `remote_squad.ts`.
 *
 * @module
 */

import process from "node:process";
import { detectRuntime } from "../../runtime/detect.ts";
import { createDialect } from "../dialects/dialects.ts";
import { LocalSquad } from "./local_group.ts";
import type { FromWorker, ToWorker } from "./remote_group.ts";
import type { Squad } from "./group.ts";

const runtime = await detectRuntime();
let squad: Squad | undefined;

function say(message: FromWorker): void {
  process.send!(message);
}

function answer(call: ToWorker["call"]): Promise<unknown> {
  if (call === "setUp" || call === "gather") return squad![call]((progress) => say({ progress }));
  return squad![call]();
}

process.on("message", async (message: ToWorker) => {
  if (message.plan !== undefined) {
    const { plan } = message;
    squad = new LocalSquad(runtime, createDialect(plan.dialect, plan, plan.keys), plan);
  }
  say({ id: message.id, value: await answer(message.call) });
});

// Ctrl-C reaches every process of the terminal; the leading one decides what happens, and hangs up.
process.on("SIGINT", () => {});
process.on("disconnect", () => process.exit());

say({ isReady: true });
