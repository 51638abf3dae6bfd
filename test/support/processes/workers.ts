/**
 * A server with several workers as processes, for tests.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import process from "node:process";
import { findProgram, type RuntimeName } from "../../../cli/program.ts";
import { ServerProcess } from "../../../tools/harness/server_process.ts";
import { peersOf } from "../../../tools/soak/checks/peers.ts";
import type { JanusClient, Target } from "../clients/janus_client.ts";

/** The reason why tests of workers don't run here; `false` if they do. */
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

/** The environment that a process was started with: `NAME=value` each. */
export function environmentOf(pid: number): string[] {
  const { stdout } = spawnSync("cat", [`/proc/${pid}/environ`], { encoding: "utf8" });
  return stdout.split("\0").filter((variable) => variable !== "");
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

/**
 * Connects clients, so many at a time, until each worker has some.
 *
 * @param connect Connects one.
 * @param least How many each worker has then at least.
 */
export async function onEachWorker(
  pids: readonly number[],
  target: Target,
  connect: () => Promise<JanusClient>,
  least = 1,
): Promise<{ readonly clients: JanusClient[]; readonly on: (pid: number) => JanusClient[] }> {
  const clients: JanusClient[] = [];
  for (;;) {
    for (let i = 0; i < pids.length * least; i++) clients.push(await connect());
    const byPid = new Map<number, JanusClient[]>();
    for (const pid of pids) {
      const ports = new Set(await peersOf(pid, target.port));
      byPid.set(pid, clients.filter(({ localPort }) => ports.has(localPort)));
    }
    if (pids.some((pid) => byPid.get(pid)!.length < least)) continue;
    return { clients, on: (pid) => byPid.get(pid) ?? [] };
  }
}
