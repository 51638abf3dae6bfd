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
import { STORED_TOPICS, TOPICS } from "./clients/population.ts";
import { CLUSTER_LOG_BYTES } from "./options.ts";
import type { SoakedServer } from "./soak_plan.ts";
import { SoakedCluster } from "./strikes/soaked_cluster.ts";

const MIB = 1024 * 1024;

const DRAIN_SECONDS = 1;

/**
 * What is stored of each topic: the small ones' messages for all of the time, those of the busy one for some
 * seconds.
 */
const HISTORY = { timeMs: 60_000, messages: 100_000, bytes: 4 * MIB };

/** Milliseconds in which an admin port must answer. */
const ADMIN_PATIENCE_MS = 5_000;

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
  ...["--drain-seconds", String(DRAIN_SECONDS), "--admin", "0"],
  ...["--history-topics", STORED_TOPICS, "--history-time", `${HISTORY.timeMs}ms`],
  ...["--history-messages", String(HISTORY.messages), "--history-bytes", String(HISTORY.bytes)],
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
 * @param members The servers to start, of which all but one are the others of its cluster.
 * @throws {EnvironmentError} (rejects) if it doesn't start.
 */
export async function startServer(
  runtime: RuntimeName,
  workers: number,
  profileName: ProfileName,
  cleanup: Cleanup,
  maxMemoryBytes?: number,
  members = 1,
): Promise<SoakedServer & { readonly pid: number }> {
  const program = findProgram(runtime);
  const profile = makeListenerProfile(profileName);
  const forgetProfile = cleanup.begin(() => profile.dispose());
  // Attacks log warnings. Only errors are of interest to the user.
  const flags = ["--host", "127.0.0.1", "--log-level", "error", "--workers", String(workers)];
  const memory = maxMemoryBytes === undefined ? [] : ["--max-memory", String(maxMemoryBytes)];
  const pending = ["--max-total-pending-bytes", String(TOTAL_PENDING_BYTES[profile.name])];
  const historyBytes = HISTORY.bytes * (TOPICS.length + 1) * 2 * workers;
  const history = ["--history-total-bytes", String(historyBytes)];
  const cluster = members === 1 ? null : await SoakedCluster.start(cleanup);
  const start = (place: readonly string[]) =>
    ServerProcess.start(
      runtime,
      program,
      [
        ...place,
        ...(cluster === null ? [] : [
          ...["--cluster", `nats://127.0.0.1:${cluster.natsPort}`],
          ...["--cluster-log-bytes", String(CLUSTER_LOG_BYTES)],
          // So that it is full from some moment on: runtimes don't give memory back.
          ...["--cluster-log-time", "10m"],
        ]),
        ...[...flags, ...FLAGS, ...history, ...pending, ...memory, ...profile.flags],
      ],
      [],
      (group) => cleanup.add(group),
    );
  const server = await start([]);
  await cluster?.startOthers(members - 1, (port) => start(["--port", String(port)]));
  const all = () => [server, ...cluster?.others ?? []];
  return {
    name: runtime,
    runtimeVersion: program.version,
    profile: profile.name,
    target: {
      hostname: "127.0.0.1",
      port: server.port,
      ...(cluster === null ? {} : { ports: all().map(({ port }) => port) }),
      ...(profile.trust === null ? {} : { tls: profile.trust }),
    },
    webSocketPort: server.webSocketPort ?? null,
    caFile: profile.caFile,
    keys: profile.keys,
    pid: server.pid,
    renew: profile.changeIdentity === null ? null : () => {
      profile.changeIdentity!();
      for (const { pid } of all()) hangUp(pid);
    },
    misrenew: profile.spoilIdentity === null ? null : async () => {
      const restore = profile.spoilIdentity!();
      for (const { pid } of all()) hangUp(pid);
      await sleep(SPOILT_MS);
      restore();
    },
    // Bun uses a new certificate on new sockets only.
    resetsWhenRenewed: runtime === "bun",
    history: {
      ...HISTORY,
      async readGivenUp() {
        const counts = await Promise.all(
          all().map(({ adminUrl }) => readMetric(adminUrl!, "history_given_up_total")),
        );
        return counts.reduce((sum, count) => sum + count, 0);
      },
    },
    readLogBytes: cluster === null
      ? undefined
      : () => readMetric(server.adminUrl!, "cluster_log_bytes"),
    cluster,
    stopLimitMs: STOP_LIMIT_MS,
    async stop() {
      const beganMs = performance.now();
      const statuses = await Promise.all(all().map((one) => one.stopped()));
      const took_ms = performance.now() - beganMs;
      await cluster?.killNats();
      profile.dispose();
      forgetProfile();
      return { status: statuses.find((status) => status !== 0) ?? statuses[0]!, took_ms };
    },
  };
}

/** One of a server's metrics. @param name Without the prefix of all. */
async function readMetric(adminUrl: string, name: string): Promise<number> {
  const signal = AbortSignal.timeout(ADMIN_PATIENCE_MS);
  const text = await (await fetch(`${adminUrl}/metrics`, { signal })).text();
  const match = new RegExp(`^hotwheels_${name} (\\d+)$`, "m").exec(text);
  if (match === null) throw new Error(`no metric ${name}`);
  return Number(match[1]);
}

function hangUp(pid: number): void {
  try {
    process.kill(pid, "SIGHUP");
  } catch {
    // It has ended by itself, which the watch reports.
  }
}
