/**
 * Starts this checkout's server for a soak.
 *
 * @module
 */

import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cleanup } from "../harness/cleanup.ts";
import { findProgram, type RuntimeName } from "../../cli/program.ts";
import { ServerProcess } from "../harness/server_process.ts";
import { makeListenerProfile, type ProfileName } from "./listener_profile.ts";
import type { SoakedServer } from "./soak.ts";

const MIB = 1024 * 1024;

const DRAIN_SECONDS = 1;

/** Milliseconds for which an unusable certificate stays installed: the server reads it at once. */
const SPOILT_MS = 1_500;

/** Milliseconds for a server to stop: 10 s, and the time that it has to drain. */
const STOP_LIMIT_MS = (10 + DRAIN_SECONDS) * 1000;

/**
 * Deadlines and limits that are a fraction of the defaults, so that attacks reach each of them in every
 * minute of a soak. Healthy clients stay far below them.
 */
const FLAGS = [
  ...["--ws-port", "0"],
  ...["--max-connections", "4000", "--max-connections-per-ip", "1000", "--accept-rate", "600"],
  ...["--publish-rate", "5000"],
  // Far more than a burst, and than what arrives until the soak's own process reads on a busy machine.
  ...["--max-pending-bytes", String(4 * MIB)],
  ...["--soft-pending-bytes", String(512 * 1024), "--soft-pending-time", "5s"],
  ...["--write-deadline", "5s", "--ping-after", "6s", "--idle-timeout", "12s"],
  ...["--drain-seconds", String(DRAIN_SECONDS)],
];

/** The most bytes that all connections together may make a server hold. */
const TOTAL_PENDING_BYTES: Readonly<Record<ProfileName, number>> = {
  open: 64 * MIB,
  locked: 64 * MIB,
  tight: 16 * MIB,
};

/**
 * Starts a server on the loopback network.
 *
 * @param cleanup Ends the server with the soak.
 * @param maxMemoryBytes The most bytes of all its processes; the server's own default without it.
 * @throws {EnvironmentError} (rejects) if it doesn't start.
 */
export async function startServer(
  runtime: RuntimeName,
  workers: number,
  profileName: ProfileName,
  cleanup: Cleanup,
  maxMemoryBytes?: number,
): Promise<SoakedServer & { readonly pid: number }> {
  const program = findProgram(runtime);
  const profile = makeListenerProfile(profileName);
  const forgetProfile = cleanup.begin(() => profile.dispose());
  // Attacks log warnings. Only errors are of interest to the user.
  const flags = ["--host", "127.0.0.1", "--log-level", "error", "--workers", String(workers)];
  const memory = maxMemoryBytes === undefined ? [] : ["--max-memory", String(maxMemoryBytes)];
  const pending = ["--max-total-pending-bytes", String(TOTAL_PENDING_BYTES[profile.name])];
  const server = await ServerProcess.start(
    runtime,
    program,
    [...flags, ...FLAGS, ...pending, ...memory, ...profile.flags],
    [],
    (group) => cleanup.add(group),
  );
  return {
    name: runtime,
    runtimeVersion: program.version,
    profile: profile.name,
    target: {
      hostname: "127.0.0.1",
      port: server.port,
      ...(profile.trust === null ? {} : { tls: profile.trust }),
    },
    webSocketPort: server.webSocketPort ?? null,
    caFile: profile.caFile,
    keys: profile.keys,
    pid: server.pid,
    renew: profile.changeIdentity === null ? null : () => {
      profile.changeIdentity!();
      hangUp(server.pid);
    },
    misrenew: profile.spoilIdentity === null ? null : async () => {
      const restore = profile.spoilIdentity!();
      hangUp(server.pid);
      await sleep(SPOILT_MS);
      restore();
    },
    // Bun uses a new certificate on new sockets only.
    resetsWhenRenewed: runtime === "bun",
    stopLimitMs: STOP_LIMIT_MS,
    async stop() {
      const beganMs = performance.now();
      const status = await server.stopped();
      profile.dispose();
      forgetProfile();
      return { status, took_ms: performance.now() - beganMs };
    },
  };
}

function hangUp(pid: number): void {
  try {
    process.kill(pid, "SIGHUP");
  } catch {
    // It has ended by itself, which the watch reports.
  }
}
