/**
 * A server with several workers as processes, for tests.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import process from "node:process";
import { findProgram, type RuntimeName } from "../../bots/program.ts";
import { ServerProcess } from "../../bots/server_process.ts";
import type { Target } from "./janus_client.ts";

/** Why tests of workers aren't run here; false where they are. */
export const skipWorkers = process.platform === "linux"
  ? false
  : "processes share a port on Linux only";

/** The process ids of a server's workers. */
export function workersOf(server: { readonly pid: number }): number[] {
  const { stdout } = spawnSync("ps", ["-o", "pid=", "--ppid", String(server.pid)], {
    encoding: "utf8",
  });
  return stdout.trim().split(/\s+/).filter((pid) => pid !== "").map(Number);
}

/** Runs a server with so many workers while `body` does. */
export async function withWorkers(
  runtime: RuntimeName,
  workers: number,
  body: (server: ServerProcess, target: Target) => Promise<void>,
  otherFlags: readonly string[] = [],
): Promise<void> {
  const flags = ["--host", "127.0.0.1", "--workers", String(workers), "--log-level", "error"];
  const server = await ServerProcess.start(runtime, findProgram(runtime), [
    ...flags,
    ...otherFlags,
  ]);
  try {
    await body(server, { hostname: "127.0.0.1", port: server.port });
  } finally {
    await server.stopped();
  }
}
