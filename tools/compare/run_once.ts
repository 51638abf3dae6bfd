/**
 * One run: a server, its subscribers, some messages, and the cost of it all.
 *
 * @module
 */

import { EnvironmentError } from "../../cli/command_line.ts";
import { counted } from "../../cli/counted.ts";
import { median } from "../../bots/measures/statistics.ts";
import type { LeaderFlags } from "../../bots/run/agent_options.ts";
import type { Program, RuntimeName } from "../../cli/program.ts";
import type { BotsReport, QuantilesReport, RoundReport } from "../../bots/results/report.ts";
import { ServerProcess } from "../harness/server_process.ts";
import { whyFewer } from "../../bots/results/validity.ts";
import type { Arm, StartedArm } from "./arm.ts";
import { type BotsOutcome, runBots } from "./measuring/bots_process.ts";
import type { BotsTask } from "./measuring/bots_protocol.ts";
import type { MetricName } from "./results/metrics.ts";
import { type ProcessUsage, readProcessUsage } from "./measuring/process_usage.ts";
import type { RunReport, RunRoundReport } from "./results/report.ts";
import type { PackedLatencies } from "./results/samples.ts";
import type { Cleanup } from "../harness/cleanup.ts";

/** The values that are the same for all runs of a comparison. */
export interface RunContext {
  readonly programs: Readonly<Partial<Record<RuntimeName, Program>>>;
  readonly botsRuntime: RuntimeName;
  readonly descriptorLimit: number | null;
  readonly workers: number;
  /** The address on which started servers listen. */
  readonly host: string;
  readonly rounds: number;
  readonly data: string;
  readonly timeoutMs: number;
  /** The agents that have the bots; `null` for this machine. */
  readonly agents: LeaderFlags | null;
  readonly cleanup: Cleanup;
}

/** The arm of a run and its number of subscribers. */
export interface RunPlan {
  readonly arm: Arm;
  readonly n: number;
}

/** The result of a run. */
export type RunOutcome = Pick<
  RunReport,
  "valid" | "invalid_because" | "metrics" | "rounds" | "bots_load" | "agents" | "clock_error"
>;

/**
 * The number of first messages that aren't counted: they wake a server that has only just been set up,
 * and make the runtime compile its fan-out.
 */
export const WARMUP_ROUNDS = 1;

/** The greatest share of a run's messages that the bots may have held up; those aren't counted. */
const MAX_HELD_UP = 0.5;

/** A server's usage at three moments. */
interface Usage {
  /** When it listens. */
  readonly before: ProcessUsage | null;
  /** When all bots are subscribed. */
  readonly subscribed: ProcessUsage | null;
  /** When all bots have left. */
  readonly after: ProcessUsage | null;
}

/** Makes a run. Errors are part of the outcome. Returns `null` if a signal came meanwhile. */
export async function runOnce(
  { arm, n }: RunPlan,
  context: RunContext,
): Promise<RunOutcome | null> {
  const { cleanup } = context;
  if (cleanup.status !== null) return null;
  if (arm.runtime === null) {
    const { host, port } = arm;
    const outcome = await measure({ arm, n, host, port }, context);
    return cleanup.status === null ? judge(outcome, null, n) : null;
  }
  let server: ServerProcess;
  try {
    server = await startServer(arm, context);
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    return cleanup.status === null ? failed([error.message], null, n) : null;
  }
  try {
    const before = readProcessUsage(server.pid);
    let subscribed: ProcessUsage | null = null;
    const place = { arm, n, host: "127.0.0.1", port: server.port };
    const outcome = await measure(place, context, () => subscribed = readProcessUsage(server.pid));
    if (cleanup.status !== null) return null;
    return judge(outcome, { before, subscribed, after: readProcessUsage(server.pid) }, n);
  } finally {
    await server.stopped();
  }
}

function startServer(
  { runtime }: StartedArm,
  { host, workers, programs, cleanup }: RunContext,
): Promise<ServerProcess> {
  const flags = ["--host", host, "--workers", String(workers), "--log-level", "warning"];
  return ServerProcess.start(
    runtime,
    programs[runtime]!,
    flags,
    [],
    (group) => cleanup.add(group),
  );
}

function measure(
  { arm, n, host, port }: RunPlan & { host: string; port: number },
  context: RunContext,
  onSubscribed: () => void = () => {},
): Promise<BotsOutcome> {
  const { botsRuntime, programs, descriptorLimit, data, timeoutMs, agents, cleanup } = context;
  const rounds = WARMUP_ROUNDS + context.rounds;
  const task: BotsTask = { n, dialect: arm.dialect, host, port, rounds, data, timeoutMs, agents };
  return runBots(
    { runtime: botsRuntime, program: programs[botsRuntime]!, descriptorLimit, task, onSubscribed },
    cleanup,
  );
}

/**
 * @param usage `null` for a server that wasn't started.
 */
export function judge(outcome: BotsOutcome, usage: Usage | null, n: number): RunOutcome {
  if ("failure" in outcome) {
    return failed([...serverTrouble(usage), `the bots ${outcome.failure}`], usage, n);
  }
  const { report, latencies } = outcome;
  const invalid = [...whyInvalid(report), ...serverTrouble(usage)];
  const counted = report.rounds.filter(isCounted);
  return {
    valid: invalid.length === 0,
    invalid_because: invalid,
    metrics: {
      max_ms: medianOver(counted, ({ max }) => max),
      p99_ms: medianOver(counted, ({ p99 }) => p99),
      p50_ms: medianOver(counted, ({ p50 }) => p50),
      setup_ms: report.setup_ms,
      ...usesOf(usage, n),
    },
    rounds: report.rounds.map((round, at) => roundReport(round, latencies[at]!, at)),
    bots_load: report.load,
    ...report.agents === null ? {} : { agents: report.agents },
    ...report.clock_error === null ? {} : { clock_error: report.clock_error },
  };
}

function failed(invalidBecause: string[], usage: Usage | null, n: number): RunOutcome {
  return {
    valid: false,
    invalid_because: invalidBecause,
    metrics: { max_ms: null, p99_ms: null, p50_ms: null, setup_ms: null, ...usesOf(usage, n) },
    rounds: [],
    bots_load: [],
  };
}

/** The reasons why a run isn't valid: faults of the bots, the network or the server. */
function whyInvalid({ n, bad, rounds, setup }: BotsReport): string[] {
  const invalid: string[] = [];
  const fewer = whyFewer(n, setup);
  if (fewer !== null) invalid.push(fewer);
  else if (bad > 0) {
    const count = (pick: (round: RoundReport) => number) =>
      rounds.reduce((sum, round) => sum + pick(round), 0);
    invalid.push(
      `${bad} of ${
        counted(n, "bot")
      } did not get each message once, intact and in time (missing: ` +
        `${count(({ missing }) => missing)}, duplicate: ${count(({ duplicate }) => duplicate)}, ` +
        `corrupt: ${count(({ corrupt }) => corrupt)}, foreign: ${
          count(({ foreign }) => foreign)
        }, ` +
        `late: ${count(({ late }) => late)})`,
    );
  }
  if (!setup.settled) invalid.push("it didn't become quiet before the first message");
  const measured = rounds.slice(WARMUP_ROUNDS);
  const heldUp = measured.filter(({ valid }) => !valid);
  if (heldUp.length > measured.length * MAX_HELD_UP) {
    const { round, invalid_because } = heldUp[0]!;
    invalid.push(
      `the bots themselves held up ${heldUp.length} of ${measured.length} messages (message ` +
        `${round - WARMUP_ROUNDS}: ${invalid_because.join("; ")})`,
    );
  }
  return invalid;
}

/** True if a message counts: it isn't a warm-up, and the bots kept up. */
function isCounted({ valid }: RoundReport, at: number): boolean {
  return at >= WARMUP_ROUNDS && valid;
}

function serverTrouble(usage: Usage | null): string[] {
  const hasDied = usage !== null && usage.before !== null && usage.after === null;
  return hasDied ? ["the server ended during the run"] : [];
}

function usesOf(
  usage: Usage | null,
  n: number,
): Pick<
  Record<MetricName, number | null>,
  "cpu_s" | "peak_memory_bytes" | "memory_per_connection_bytes"
> {
  const { before, subscribed, after } = usage ?? { before: null, subscribed: null, after: null };
  return {
    cpu_s: before === null || after === null ? null : after.cpuSeconds - before.cpuSeconds,
    peak_memory_bytes: after === null
      ? null
      : after.peakBytes ?? Math.max(after.residentBytes, subscribed?.residentBytes ?? 0),
    memory_per_connection_bytes: before === null || subscribed === null
      ? null
      : (subscribed.residentBytes - before.residentBytes) / n,
  };
}

function roundReport(round: RoundReport, latencies: PackedLatencies, at: number): RunRoundReport {
  return {
    warmup: at < WARMUP_ROUNDS,
    counted: isCounted(round, at),
    good: round.good,
    bad: round.bad,
    latency_ms: round.end_to_end_ms,
    latencies_us: latencies,
    invalid_because: round.invalid_because,
  };
}

function medianOver(
  rounds: readonly RoundReport[],
  pick: (quantiles: QuantilesReport) => number,
): number | null {
  const values = rounds.flatMap(({ end_to_end_ms }) =>
    end_to_end_ms === null ? [] : [pick(end_to_end_ms)]
  );
  return values.length === 0 ? null : median(values);
}
