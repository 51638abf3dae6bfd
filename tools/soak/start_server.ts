/**
 * This checkout's server, for a soak.
 *
 * @module
 */

import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cleanup } from "../harness/cleanup.ts";
import { findProgram, type RuntimeName } from "../../cli/program.ts";
import { ServerProcess } from "../harness/server_process.ts";
import { type DoorName, makeDoor } from "./listener_profile.ts";
import type { SoakedServer } from "./soak.ts";

const MIB = 1024 * 1024;

const DRAIN_SECONDS = 1;

/** How long a certificate stays in place that can't be used: the server reads it at once. */
const SPOILT_MS = 1_500;

/** A server that was asked to stop is gone within 10 s and the time that it has to drain. */
const STOP_LIMIT_MS = (10 + DRAIN_SECONDS) * 1000;

/**
 * Deadlines and limits that are a fraction of the defaults, so that each is passed in every minute of a
 * soak; healthy clients stay far below them.
 */
const FLAGS = [
  ...["--max-connections", "4000", "--max-connections-per-ip", "1000", "--accept-rate", "600"],
  ...["--publish-rate", "5000"],
  // Far beyond a burst, and what comes until the soak's own process gets to read on a busy machine.
  ...["--max-pending-bytes", String(4 * MIB)],
  ...["--soft-pending-bytes", String(512 * 1024), "--soft-pending-time", "5s"],
  ...["--write-deadline", "5s", "--ping-after", "6s", "--idle-timeout", "12s"],
  ...["--drain-seconds", String(DRAIN_SECONDS)],
];

/** What all connections together may make a server hold. */
const TOTAL_PENDING_BYTES: Readonly<Record<DoorName, number>> = {
  open: 64 * MIB,
  locked: 64 * MIB,
  tight: 16 * MIB,
};

/**
 * Starts a server on the loopback network.
 *
 * @param cleanup Ends it with the soak.
 * @param maxMemoryBytes All its processes'; the server's own default without it.
 * @throws {EnvironmentError} (rejects) if it doesn't start.
 */
export async function startServer(
  runtime: RuntimeName,
  workers: number,
  doorName: DoorName,
  cleanup: Cleanup,
  maxMemoryBytes?: number,
): Promise<SoakedServer & { readonly pid: number }> {
  const program = findProgram(runtime);
  const door = makeDoor(doorName);
  const doorStands = cleanup.begin(() => door.dispose());
  // Every attack is a warning; what the server calls an error is for whoever runs the soak.
  const flags = ["--host", "127.0.0.1", "--log-level", "error", "--workers", String(workers)];
  const memory = maxMemoryBytes === undefined ? [] : ["--max-memory", String(maxMemoryBytes)];
  const pending = ["--max-total-pending-bytes", String(TOTAL_PENDING_BYTES[door.name])];
  const server = await ServerProcess.start(
    runtime,
    program,
    [...flags, ...FLAGS, ...pending, ...memory, ...door.flags],
    [],
    (group) => cleanup.add(group),
  );
  return {
    name: runtime,
    runtimeVersion: program.version,
    door: door.name,
    target: {
      hostname: "127.0.0.1",
      port: server.port,
      ...(door.trust === null ? {} : { tls: door.trust }),
    },
    keys: door.keys,
    pid: server.pid,
    renew: door.changeIdentity === null ? null : () => {
      door.changeIdentity!();
      hangUp(server.pid);
    },
    misrenew: door.spoilIdentity === null ? null : async () => {
      const restore = door.spoilIdentity!();
      hangUp(server.pid);
      await sleep(SPOILT_MS);
      restore();
    },
    // Bun takes another certificate on other sockets only.
    resetsWhenRenewed: runtime === "bun",
    stopLimitMs: STOP_LIMIT_MS,
    async stop() {
      const beganMs = performance.now();
      const status = await server.stopped();
      door.dispose();
      doorStands();
      return { status, took_ms: performance.now() - beganMs };
    },
  };
}

function hangUp(pid: number): void {
  try {
    process.kill(pid, "SIGHUP");
  } catch {
    // It has ended by itself; whoever watches it says so.
  }
}
