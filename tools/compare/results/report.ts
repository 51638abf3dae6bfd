/**
 * The report of a comparison, as `report.json` has it.
 *
 * @module
 */

import type { DialectName } from "../../../bots/dialects/dialects.ts";
import type { EnvironmentRecord } from "../../doctor/environment_record.ts";
import type { RuntimeName } from "../../../cli/program.ts";
import type { LoadReport, QuantilesReport } from "../../../bots/results/report.ts";
import type { MetricName, Verdict } from "./metrics.ts";
import type { PackedLatencies } from "./samples.ts";

/** The version of the format. Members may be added to it; anything else makes a new version. */
export const SCHEMA = "hotwheels-compare/1";

/**
 * What a comparison found. Units stand in the names, times are from one machine's clock, and `null`
 * stands for what couldn't be known.
 */
export interface CompareReport {
  /** {@linkcode SCHEMA}. */
  schema: typeof SCHEMA;
  /** When the first run began, by the system's clock, in ISO 8601. */
  started_at: string;
  /** When the last run had ended. */
  ended_at: string;
  /** What is missing; `null` where all runs took place, and in reports of versions before this member. */
  interrupted: InterruptionReport | null;
  options: OptionsReport;
  /** What was compared. The first is the one that the others are held against. */
  arms: ArmReport[];
  /** The most subscribers' conclusions: there servers differ most. */
  conclusions: string[];
  /** What was found for each number of subscribers, ascending. */
  sizes: SizeReport[];
  /** Every run in the order in which they took place, invalid ones too. */
  runs: RunReport[];
  environment: EnvironmentRecord;
}

/** A signal ended the comparison before its last run; the report is of those that were over. */
export interface InterruptionReport {
  /** How many runs were to take place. */
  planned_runs: number;
}

/** What was asked for. */
export interface OptionsReport {
  /** Valid runs of each arm. */
  runs: number;
  /** Messages in each run, the warm-up aside. */
  rounds: number;
  /** Messages before them that aren't counted. */
  warmup_rounds: number;
  /** The processes of each server that was started. */
  workers: number;
  /** What the bots ran on, the same for all arms. */
  bots_runtime: RuntimeName;
  bots_runtime_version: string;
  /** What the order of the runs and the resamples come from. */
  seed: number;
  topic: string;
  /** The bytes of the message's `data`. */
  data_bytes: number;
  /** How long a bot waited for a message. */
  timeout_ms: number;
}

/** One of those that are compared. */
export interface ArmReport {
  name: string;
  dialect: DialectName;
  /** The runtime on which this checkout's server was started for each run; `null` for others. */
  runtime: RuntimeName | null;
  runtime_version: string | null;
  /** Where a server that already ran was found; `null` for those that were started. */
  address: string | null;
}

/** What was found with one number of subscribers. */
export interface SizeReport {
  n: number;
  /**
   * How soon each arm but the first reaches its last subscriber, against the first: a paragraph each,
   * whose ratio is that of {@linkcode Comparison}.
   */
  conclusions: string[];
  arms: ArmResult[];
  /** Each arm but the first against the first, each metric. */
  comparisons: Comparison[];
}

/** One arm's runs, summed up. */
export interface ArmResult {
  arm: string;
  valid_runs: number;
  invalid_runs: number;
  /** Messages of the valid runs that aren't counted, because the bots themselves held them up. */
  held_up_messages: number;
  /** Over the valid runs; `null` where none has the metric. */
  metrics: Record<MetricName, MedianReport | null>;
  /** Of all messages of all counted rounds of the valid runs, from publish to arrival. */
  latency_ms: QuantilesReport | null;
}

/** A median over runs. */
export interface MedianReport {
  median: number;
  /** The bootstrap's 95 % interval; `null` where the runs are too few for one. */
  interval: IntervalReport | null;
}

/** Both ends belong to it. */
export interface IntervalReport {
  low: number;
  high: number;
}

/** One arm against the first, in one metric. */
export interface Comparison {
  arm: string;
  /** The first arm. */
  baseline: string;
  metric: MetricName;
  /**
   * The arm's median over the baseline's, here and wherever a ratio is shown: below 1 is better in every
   * metric that there is.
   */
  ratio: number | null;
  /** The bootstrap's 95 % interval. */
  interval: IntervalReport | null;
  /** Its 99.9 % interval. */
  wide_interval: IntervalReport | null;
  verdict: Verdict;
  /** Why the verdict is inconclusive: the condition that it lacks. `null` for every other verdict. */
  because: string | null;
}

/** One run: a server, n subscribers, some messages. */
export interface RunReport {
  /** 1 for the first that took place. */
  run: number;
  /** Which pass over all arms it belongs to, from 1. */
  pass: number;
  n: number;
  arm: string;
  started_at: string;
  /** Whether it counts. */
  valid: boolean;
  invalid_because: string[];
  /** `null` where the run didn't get that far, and the last three for servers that weren't started. */
  metrics: Record<MetricName, number | null>;
  /** The warm-up first. Empty where the run didn't get that far. */
  rounds: RunRoundReport[];
  /** The load of each of the bots' processes over all rounds. */
  bots_load: LoadReport[];
}

/** One message. */
export interface RunRoundReport {
  warmup: boolean;
  /** Whether the run's figures are from it: it isn't the warm-up, and the bots kept up. */
  counted: boolean;
  /** Bots that received it once and intact, in time. */
  good: number;
  bad: number;
  /** Of the good ones, from publish to arrival. */
  latency_ms: QuantilesReport | null;
  /**
   * All those latencies, ascending, in whole microseconds: the first as it is, each further one as the
   * difference to the one before.
   */
  latencies_us: PackedLatencies;
  /** Why the bots may have held it up themselves; empty where they kept up. */
  invalid_because: string[];
}
