/**
 * Builds the report of a run from its record.
 *
 * @module
 */

import type { Dialect } from "../dialects/dialect.ts";
import type { BotsOptions } from "../run/options.ts";
import {
  type BotsReport,
  type DelayReport,
  type EnvironmentReport,
  type LoadReport,
  type QuantilesReport,
  type RoundReport,
  SCHEMA,
} from "./report.ts";
import { clockErrorMs, type RoundRecord, type RunRecord } from "../run/run.ts";
import { type AgentContext, agentReports, agentRounds, clockErrorReport } from "./agents_report.ts";
import type { FleetProcess } from "../fleet/bot_fleet.ts";
import { score } from "./score.ts";
import type { Delay, LoopReading } from "../measures/loop_meter.ts";
import { setupReport } from "./setup_report.ts";
import { tallied } from "../measures/tally.ts";
import { histogram, medianQuantiles, quantiles } from "../measures/statistics.ts";
import { whyFewer, whyInvalid } from "./validity.ts";

/** The circumstances of a run. */
export interface RunContext {
  readonly options: BotsOptions;
  readonly startedAt: Date;
  readonly addresses: readonly string[];
  readonly dialect: Pick<Dialect, "name" | "stampedBy">;
  readonly processes: readonly FleetProcess[];
  readonly environment: EnvironmentReport;
  /** The agents that had the bots; `null` if this machine had them. */
  readonly agents: readonly AgentContext[] | null;
}

/** The width of the histogram's rows, as in 2009. */
const ROW_MS = 500;

/** Judges a run. */
export function buildReport(record: RunRecord, context: RunContext): BotsReport {
  const { options, processes } = context;
  const isGood = new Uint8Array(options.n).fill(1);
  const errorMs = clockErrorMs(record);
  const rounds = record.rounds.map((round, at) =>
    buildRound(round, { round: at + 1, isGood, errorMs }, context)
  );
  const good = isGood.reduce((sum, one) => sum + one, 0);
  const valid = rounds.filter((round) => round.valid);
  const counted = valid.length > 0 ? valid : rounds;
  const { setups, settle } = record;
  const setup = {
    ...setupReport(setups, record.refusal),
    settle_ms: settle.settledMs,
    settled: settle.isQuiet,
  };
  const fewer = whyFewer(options.n, setup);
  const invalid = [
    ...(fewer === null ? [] : [fewer]),
    ...rounds.flatMap(({ round, invalid_because }) =>
      invalid_because.map((why) => rounds.length === 1 ? why : `round ${round}: ${why}`)
    ),
  ];
  const maxima = rounds.map(({ end_to_end_ms }) => end_to_end_ms?.max ?? Infinity);
  const isShown = invalid.length === 0 && good === options.n;
  const worstMs = maxima.reduce((most, ms) => Math.max(most, ms), 0);
  // The clocks' error is counted against the server.
  const lastMs = isShown ? worstMs + errorMs : Infinity;
  const beganAtMs = Math.min(...setups.map((setup) => setup.beganAtMs));
  const endedAtMs = Math.max(...setups.map((setup) => setup.endedAtMs));
  return {
    schema: SCHEMA,
    started_at: context.startedAt.toISOString(),
    target: {
      host: options.host,
      port: options.port,
      addresses: [...context.addresses],
      dialect: context.dialect.name,
      stamped_by: context.dialect.stampedBy,
    },
    options: {
      rounds: options.rounds,
      topic: options.topic,
      data_bytes: new TextEncoder().encode(options.data).length,
      timeout_ms: options.timeoutMs,
    },
    n: options.n,
    good,
    bad: options.n - good,
    setup_ms: endedAtMs - beganAtMs,
    run_ms: record.closedAtMs - record.rounds[0]!.publishedAtMs,
    came_back: total(record.rounds.at(-1)!.groups.map(({ cameBack }) => cameBack)),
    setup,
    rounds,
    medians: {
      latency_ms: medianOf(counted, (round) => round.latency_ms),
      end_to_end_ms: medianOf(counted, (round) => round.end_to_end_ms),
    },
    valid: invalid.length === 0,
    invalid_because: invalid,
    verdict: lastMs < 1000 ? "under_1_s" : lastMs < 2000 ? "under_2_s" : "neither",
    slo: options.sloMs === null ? null : { limit_ms: options.sloMs, held: lastMs <= options.sloMs },
    processes: processes.map((process) => ({ ...process })),
    load: processes.map((_, at) => overall(rounds.map(({ load }) => load[at]!))),
    ...agentsPart(record, context, rounds, isGood),
    environment: context.environment,
  };
}

function agentsPart(
  record: RunRecord,
  { agents, processes }: RunContext,
  rounds: readonly RoundReport[],
  isGood: Uint8Array,
): Pick<BotsReport, "agents" | "clock_error"> {
  if (agents === null) return { agents: null, clock_error: null };
  const reports = agentReports(record, { agents, processes, isGood, rounds });
  const last = reports.map(({ last_ms }) => last_ms).filter((ms) => ms !== null);
  const lastMs = last.length === 0 ? null : Math.max(...last);
  return { agents: reports, clock_error: clockErrorReport(record, lastMs) };
}

interface RoundPlace {
  /** 1 for the first. */
  readonly round: number;
  readonly isGood: Uint8Array;
  readonly errorMs: number;
}

/** Sets the entry in `isGood` to 0 of each bot that isn't good in this round. */
function buildRound(
  { publishedAtMs, groups }: RoundRecord,
  { round, isGood, errorMs }: RoundPlace,
  { options, processes, agents }: RunContext,
): RoundReport {
  const times = { publishedAtMs, timeoutMs: options.timeoutMs, clockErrorMs: errorMs };
  const result = score(groups, times);
  result.isGood.forEach((good, bot) => isGood[bot]! &= good);
  const runMs = result.endedAtMs - publishedAtMs;
  const stamps = new Set(groups.map(({ stampMicros }) => stampMicros).filter((us) => us !== null));
  const invalid = groups.flatMap(({ load }, at) => {
    const why = whyInvalid(load, runMs);
    return why === null ? [] : [`${processText(processes[at]!)}: ${why}`];
  });
  if (stamps.size > 1) {
    invalid.push(
      "the bots' processes received the message with different timestamps: the server stamps copies " +
        "apart, or another client publishes the same message",
    );
  }
  return {
    round,
    good: result.good,
    bad: result.bad,
    missing: result.missing,
    duplicate: result.duplicate,
    corrupt: result.corrupt,
    foreign: result.foreign,
    late: result.late,
    disconnected: total(groups.map(({ disconnected }) => disconnected)),
    refusals: tallied(groups.map(({ refusals }) => refusals)),
    run_ms: runMs,
    server_timestamp_us: [...stamps][0] ?? null,
    latency_ms: quantiles(result.latencyMs),
    end_to_end_ms: quantiles(result.endToEndMs),
    histogram: histogram(result.latencyMs, ROW_MS).map(({ upTo, count }) => ({
      up_to_ms: upTo,
      count,
    })),
    valid: invalid.length === 0,
    invalid_because: invalid,
    load: groups.map(({ load }, at) => loadReport(processes[at]!, load)),
    agents: agents === null ? null : agentRounds(groups, agents, times),
  };
}

function processText({ pid, agent }: FleetProcess): string {
  return agent === undefined ? `bots' process ${pid}` : `the agent at ${agent}, process ${pid}`;
}

function loadReport({ pid, agent }: FleetProcess, load: LoopReading): LoadReport {
  return {
    pid,
    ...agent === undefined ? {} : { agent },
    wall_ms: load.wallMs,
    cpu_share: load.cpuShare,
    loop_lag_ms: delayReport(load.timerLagMs),
    read_delay_ms: load.readDelayMs === null ? null : delayReport(load.readDelayMs),
  };
}

/** One process's load over several rounds. */
function overall(loads: readonly LoadReport[]): LoadReport {
  const wallMs = total(loads.map(({ wall_ms }) => wall_ms));
  const cpuMs = total(loads.map(({ wall_ms, cpu_share }) => wall_ms * cpu_share));
  const readDelays = loads.map(({ read_delay_ms }) => read_delay_ms).filter((delay) =>
    delay !== null
  );
  return {
    ...loads[0]!,
    wall_ms: wallMs,
    cpu_share: wallMs > 0 ? cpuMs / wallMs : 0,
    loop_lag_ms: worst(loads.map(({ loop_lag_ms }) => loop_lag_ms)),
    read_delay_ms: readDelays.length === 0 ? null : worst(readDelays),
  };
}

function worst(delays: readonly DelayReport[]): DelayReport {
  return {
    p99: Math.max(...delays.map(({ p99 }) => p99)),
    max: Math.max(...delays.map(({ max }) => max)),
  };
}

function delayReport({ p99, max }: Delay): DelayReport {
  return { p99, max };
}

function medianOf(
  rounds: readonly RoundReport[],
  pick: (round: RoundReport) => QuantilesReport | null,
): QuantilesReport | null {
  return medianQuantiles(rounds.map(pick).filter((quantiles) => quantiles !== null));
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
