/**
 * This checkout's server, for a soak.
 *
 * @module
 */

import process from "node:process";
import type { Undertakings } from "../compare/undertakings.ts";
import { findProgram, type RuntimeName } from "../program.ts";
import { ServerProcess } from "../server_process.ts";
import { type DoorName, makeDoor } from "./door.ts";
import type { SoakedServer } from "./soak.ts";

/**
 * Deadlines and limits that are a fraction of the defaults, so that each is passed in every minute of a
 * soak; healthy clients stay far below them.
 */
const FLAGS = [
  ...["--max-connections", "4000", "--max-connections-per-ip", "1000", "--accept-rate", "600"],
  ...["--publish-rate", "5000"],
  ...["--max-pending-bytes", String(2 * 1024 * 1024)],
  ...["--soft-pending-bytes", String(512 * 1024), "--soft-pending-time", "5s"],
  ...["--max-total-pending-bytes", String(64 * 1024 * 1024)],
  ...["--write-deadline", "5s", "--ping-after", "6s", "--idle-timeout", "8s"],
  ...["--drain-seconds", "1"],
];

/**
 * Starts a server on the loopback network.
 *
 * @param undertakings Ends it with the soak.
 * @throws {EnvironmentError} (rejects) if it doesn't start.
 */
export async function startServer(
  runtime: RuntimeName,
  workers: number,
  doorName: DoorName,
  undertakings: Undertakings,
): Promise<SoakedServer & { readonly pid: number }> {
  const program = findProgram(runtime);
  const door = makeDoor(doorName);
  const doorStands = undertakings.begin(() => door.dispose());
  // Every attack is a warning; what the server calls an error is for whoever runs the soak.
  const flags = ["--host", "127.0.0.1", "--log-level", "error", "--workers", String(workers)];
  const server = await ServerProcess.start(
    runtime,
    program,
    [...flags, ...FLAGS, ...door.flags],
    [],
    (group) => undertakings.add(group),
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
      try {
        process.kill(server.pid, "SIGHUP");
      } catch {
        // It has ended by itself; whoever watches it says so.
      }
    },
    // Bun takes another certificate on other sockets only.
    resetsWhenRenewed: runtime === "bun",
    async stop() {
      const beganMs = performance.now();
      const status = await server.stopped();
      door.dispose();
      doorStands();
      return { status, took_ms: performance.now() - beganMs };
    },
  };
}
