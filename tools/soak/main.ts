/**
 * The soak's command; see `--help`.
 *
 * @module
 */

import process from "node:process";
import manifest from "../../package.json" with { type: "json" };
import { answer, runCommand } from "../../cli/command.ts";
import { detectRuntime } from "../../runtime/detect.ts";
import { checkReportFile } from "../../cli/report_file.ts";
import type { Runtime } from "../../runtime/types.ts";
import { MAX_SEED } from "../harness/random.ts";
import { Cleanup } from "../harness/cleanup.ts";
import { findNats } from "../harness/nats_process.ts";
import { findProgram, RUNTIME_NAMES, type RuntimeName } from "../../cli/program.ts";
import { writeReport } from "./write_report.ts";
import { HELP, parseCommand, type SoakOptions } from "./options.ts";
import type { SoakReport, SoakRun } from "./report.ts";
import { soak } from "./soak.ts";
import type { SoakedServer } from "./soak_plan.ts";
import { startServer } from "./start_server.ts";
import { progressLine, reportText } from "./text.ts";
import { findTarget } from "../../bots/run/target.ts";

/** The number of attacks that run at once, on all servers together. */
const ATTACKS_AT_ONCE = 6;

/** Milliseconds for the last messages to reach all subscribers after the load has ended. */
const SETTLE_PATIENCE_MS = 30_000;

if (import.meta.main) await runCommand("soak", main);

async function main(args: readonly string[]): Promise<number> {
  const command = parseCommand(args);
  if (command.does !== "run") return answer(command, HELP);
  const { options } = command;
  checkReportFile(options.json, "--json");
  const cleanup = new Cleanup();
  cleanup.listen(() => {
    console.error("soak: ending what runs; a second signal ends at once");
  });
  const report = await soakAll(options, args, cleanup);
  const { status } = cleanup;
  if (status !== null && report.runs.length === 0) {
    console.error("soak: no server's soak was over, so there is nothing to report");
    return status;
  }
  writeReport(report, reportText(report), options.json);
  return status ?? (report.passed ? 0 : 1);
}

/** Soaks all servers. After a signal, the report covers the soaks that are over. */
async function soakAll(
  options: SoakOptions,
  args: readonly string[],
  cleanup: Cleanup,
): Promise<SoakReport> {
  const { workers, durationMs, killEveryMs, chaosEveryMs } = options;
  const seed = options.seed ?? Math.floor(Math.random() * (MAX_SEED + 1));
  const client = await detectRuntime();
  const over: SoakRun[] = [];
  let runs: readonly SoakRun[] = [];
  try {
    const all = soakEach(options, { client, seed, cleanup, onRun: (run) => over.push(run) });
    await Promise.race([all, cleanup.interrupted]);
    // Soaks that end after the signal don't count.
    runs = [...over];
  } finally {
    await cleanup.endAll();
  }
  const interrupted = cleanup.status !== null;
  return {
    hotwheels_version: manifest.version,
    client_runtime: `${client.name} ${client.version}`,
    seed,
    minutes: durationMs / 60_000,
    workers,
    members: options.members,
    kill_every_s: killEveryMs === null ? null : killEveryMs / 1000,
    chaos_every_s: chaosEveryMs === null ? null : chaosEveryMs / 1000,
    arguments: [...args],
    interrupted,
    passed: !interrupted && runs.every(({ passed }) => passed),
    runs,
  };
}

/** The values that all soaks of a command share. */
interface SoakContext {
  readonly client: Runtime;
  readonly seed: number;
  readonly cleanup: Cleanup;
  onRun(run: SoakRun): void;
}

async function soakEach(
  options: SoakOptions,
  { client, seed, cleanup, onRun }: SoakContext,
): Promise<void> {
  const { workers, profiles } = options;
  const own = RUNTIME_NAMES.find((name) => name === client.name)!;
  // Look before the first server is started, so that a missing runtime is reported at once.
  for (const name of options.runtimes) findProgram(name);
  if (options.members > 1) findNats();
  if (options.target !== null) {
    onRun(await soakOne(await foundServer(client, options.target), options, own, seed));
  }
  for (const name of options.runtimes) {
    const servers: SoakedServer[] = [];
    for (const profile of profiles) {
      const { maxMemoryBytes, members } = options;
      servers.push(await startServer(name, workers, profile, cleanup, maxMemoryBytes, members));
    }
    const runs = await Promise.all(
      servers.map((server) => soakOne(server, options, own, seed)),
    );
    for (const run of runs) onRun(run);
  }
}

async function soakOne(
  server: SoakedServer,
  options: SoakOptions,
  client: RuntimeName,
  seed: number,
): Promise<SoakRun> {
  const { durationMs, subscribers, profiles, killEveryMs, chaosEveryMs, ...others } = options;
  const { latency, maxMemoryBytes, only, workers } = others;
  const isTerminal = process.stderr.isTTY === true;
  const run = await soak(server, {
    durationMs,
    subscribers: Math.ceil(subscribers / profiles.length),
    killEveryMs,
    chaosEveryMs,
    workers,
    latency,
    maxMemoryBytes,
    only,
    client,
    attacksAtOnce: Math.ceil(ATTACKS_AT_ONCE / profiles.length / others.members),
    seed,
    patienceMs: SETTLE_PATIENCE_MS,
    onProgress(progress) {
      if (!isTerminal) return;
      process.stderr.write(`\r\x1b[K${progressLine(server.name, progress, durationMs)}`);
    },
  });
  if (isTerminal) process.stderr.write("\r\x1b[K");
  return run;
}

async function foundServer(
  runtime: Runtime,
  place: { host: string; port: number },
): Promise<SoakedServer> {
  const wanted = { ...place, n: 1, dialect: "janus", tls: null, spread: 1 } as const;
  const { addresses: [hostname] } = await findTarget(runtime, wanted, null);
  const { host, port } = place;
  const target = { hostname: hostname!, port };
  return {
    name: `${host}:${port}`,
    runtimeVersion: null,
    profile: "open",
    target,
    webSocketPort: null,
    caFile: null,
    keys: null,
    pid: null,
    renew: null,
    misrenew: null,
    resetsWhenRenewed: false,
    history: null,
    readLogBytes: undefined,
    cluster: null,
    stop: null,
    stopLimitMs: Infinity,
  };
}
