/**
 * The report of a comparison, as it stands in `report.json`.
 *
 * @module
 */

import type { DialectName } from "../../../bots/dialects/dialects.ts";
import type { EnvironmentRecord } from "../../doctor/environment_record.ts";
import type { RuntimeName } from "../../../cli/program.ts";
import type {
  AgentReport,
  ClockErrorReport,
  LoadReport,
  QuantilesReport,
} from "../../../bots/results/report.ts";
import type { MetricName, Verdict } from "./metrics.ts";
import type { PackedLatencies } from "./samples.ts";

/** The version of the format. Members may be added to it; anything else makes a new version. */
export const SCHEMA = "hotwheels-compare/1";

/**
 * The results of a comparison. Units stand in the names, times are by one machine's clock, and `null`
 * stands for what couldn't be found out.
 */
export interface CompareReport {
  /** {@linkcode SCHEMA}. */
  schema: typeof SCHEMA;
  /** The moment at which the first run began, by the system's clock, in ISO 8601. */
  started_at: string;
  /** The moment at which the last run had ended. */
  ended_at: string;
  /**
   * Present if a signal ended the comparison; `null` if all runs took place, and in reports of versions
   * before this member.
   */
  interrupted: InterruptionReport | null;
  options: OptionsReport;
  /** The compared servers. The others are compared with the first. */
  arms: ArmReport[];
  /** The conclusions for the largest number of subscribers: there servers differ most. */
  conclusions: string[];
  /** The results for each number of subscribers, ascending. */
  sizes: SizeReport[];
  /** All runs in the order in which they took place, including invalid ones. */
  runs: RunReport[];
  environment: EnvironmentRecord;
}

/** A signal ended the comparison before its last run. The report covers the runs that were over. */
export interface InterruptionReport {
  /** The number of planned runs. */
  planned_runs: number;
}

/** The comparison's options. */
export interface OptionsReport {
  /** Valid runs of each arm. */
  runs: number;
  /** Messages in each run, without the warm-up. */
  rounds: number;
  /** Messages before them that aren't counted. */
  warmup_rounds: number;
  /** The processes of each server that was started. */
  workers: number;
  /** The runtime of the bots, the same for all arms. */
  bots_runtime: RuntimeName;
  bots_runtime_version: string;
  /** The seed for the order of the runs and the resamples. */
  seed: number;
  topic: string;
  /** The bytes of the message's `data`. */
  data_bytes: number;
  /** Milliseconds that a bot waited for a message. */
  timeout_ms: number;
  /** The addresses of the agents that had the bots; absent if the comparison's own machine had them. */
  agents?: string[];
}

/** One compared server. */
export interface ArmReport {
  name: string;
  dialect: DialectName;
  /** The runtime on which this checkout's server was started for each run; `null` for others. */
  runtime: RuntimeName | null;
  runtime_version: string | null;
  /** The address of a server that already ran; `null` for started ones. */
  address: string | null;
}

/** The results with one number of subscribers. */
export interface SizeReport {
  n: number;
  /**
   * One paragraph for each arm but the first: how soon it reaches its last subscriber, compared with the
   * first. Its ratio is that of {@linkcode Comparison}.
   */
  conclusions: string[];
  arms: ArmResult[];
  /** Each arm but the first, compared with the first, in each metric. */
  comparisons: Comparison[];
}

/** One arm's runs, summed up. */
export interface ArmResult {
  arm: string;
  valid_runs: number;
  invalid_runs: number;
  /** Messages of the valid runs that aren't counted, because the bots themselves held them up. */
  held_up_messages: number;
  /** Medians over the valid runs; `null` if none has the metric. */
  metrics: Record<MetricName, MedianReport | null>;
  /** The latencies of all messages of all counted rounds of the valid runs, from publish to arrival. */
  latency_ms: QuantilesReport | null;
}

/** A median over runs. */
export interface MedianReport {
  median: number;
  /** The bootstrap's 95 % interval; `null` if there are too few runs. */
  interval: IntervalReport | null;
}

/** An interval that includes both ends. */
export interface IntervalReport {
  low: number;
  high: number;
}

/** One arm compared with the first in one metric. */
export interface Comparison {
  arm: string;
  /** The first arm. */
  baseline: string;
  metric: MetricName;
  /**
   * The arm's median divided by the baseline's, here and wherever a ratio is shown: below 1 is better in
   * every metric.
   */
  ratio: number | null;
  /** The bootstrap's 95 % interval. */
  interval: IntervalReport | null;
  /** Its 99.9 % interval. */
  wide_interval: IntervalReport | null;
  verdict: Verdict;
  /**
   * The reason for an inconclusive verdict: the condition that isn't met. `null` for every other verdict.
   */
  because: string | null;
}

/** One run: a server, n subscribers, some messages. */
export interface RunReport {
  /** The run's number, from 1. */
  run: number;
  /** The pass to which the run belongs, from 1. */
  pass: number;
  n: number;
  arm: string;
  started_at: string;
  /** True if the run counts. */
  valid: boolean;
  invalid_because: string[];
  /**
   * `null` if the run didn't get that far; the last three are `null` also for servers that weren't
   * started.
   */
  metrics: Record<MetricName, number | null>;
  /** The warm-up first. Empty if the run didn't get that far. */
  rounds: RunRoundReport[];
  /** The load of each of the bots' processes over all rounds. */
  bots_load: LoadReport[];
  /** With `--agents`, the machines that had the bots. */
  agents?: AgentReport[];
  /** With `--agents`, how far latencies may be wrong. */
  clock_error?: ClockErrorReport;
}

/** One message. */
export interface RunRoundReport {
  warmup: boolean;
  /** True if the run's figures include it: it isn't the warm-up, and the bots kept up. */
  counted: boolean;
  /** Bots that received it once and intact, in time. */
  good: number;
  bad: number;
  /** The good bots' latencies, from publish to arrival. */
  latency_ms: QuantilesReport | null;
  /**
   * All those latencies, ascending, in whole microseconds: the first one itself, then the difference of
   * each further one to the one before.
   */
  latencies_us: PackedLatencies;
  /** The reasons to think that the bots themselves held it up; empty if they kept up. */
  invalid_because: string[];
}
