/**
 * The report of a storm, as `--json` writes it.
 *
 * @module
 */

import type { EnvironmentReport } from "../results/report.ts";
import { tallied, type Tally } from "../measures/tally.ts";
import { quantiles } from "../measures/statistics.ts";
import type { GroupStorm } from "../fleet/reconnection.ts";

/** The version of the format. Members may be added to it; anything else makes a new version. */
export const STORM_SCHEMA = "hotwheels-storm/1";

/** Milliseconds, by nearest rank. */
export interface OutageQuantiles {
  min: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
}

/** The result of a storm. */
export interface StormReport {
  schema: typeof STORM_SCHEMA;
  /** The moment at which the bots began to connect, by the system's clock, in ISO 8601. */
  started_at: string;
  target: { host: string; port: number; addresses: string[]; dialect: string };
  /** The number of bots that the command line asks for. */
  n: number;
  /** Bots that were subscribed when the storm began. */
  subscribed: number;
  /** True if it was a storm of n bots. False if one never subscribed before it. */
  valid: boolean;
  /** The reasons why the storm isn't valid, for people. */
  invalid_because: string[];
  /** Bots that lost their connection at least once. */
  struck: number;
  /** Bots without a subscription at the end. */
  still_out: number;
  /** The number of outages of all bots. */
  outages: number;
  /** Milliseconds from the first lost connection to the last bot that was subscribed again. */
  took_ms: number | null;
  /** Milliseconds from the first lost connection to the last one. */
  loss_span_ms: number;
  /** The lengths of the outages that ended; `null` if none did. */
  outage_ms: OutageQuantiles | null;
  /** The most bots that were subscribed again within one second, wherever that second begins. */
  peak_reconnects_per_s: number;
  /** Attempts to connect again. */
  attempts: number;
  failed_attempts: Tally;
  /** The server's refusals and goodbyes, counted by code. */
  told: Tally;
  /** The number of times that the server said when to come back. */
  appointments: number;
  environment: EnvironmentReport;
}

/** The part of the report that doesn't come from the bots. */
export type StormFacts = Pick<
  StormReport,
  "started_at" | "target" | "n" | "subscribed" | "valid" | "invalid_because" | "environment"
>;

/** Adds up the results of all groups. At least one bot must have lost its connection. */
export function buildStormReport(
  facts: StormFacts,
  groups: readonly GroupStorm[],
): StormReport {
  const outages = groups.flatMap((group) => group.outages);
  const lost = outages.map(({ lostAtMs }) => lostAtMs);
  const ended = outages.flatMap(({ lostAtMs, backAtMs }) =>
    backAtMs === null ? [] : [{ lostAtMs, backAtMs }]
  );
  const back = Float64Array.from(ended, ({ backAtMs }) => backAtMs).sort();
  const firstLoss = minOf(lost);
  const took = quantiles(Float64Array.from(ended, ({ lostAtMs, backAtMs }) => backAtMs - lostAtMs));
  const sum = (pick: (group: GroupStorm) => number) =>
    groups.reduce((total, group) => total + pick(group), 0);
  return {
    schema: STORM_SCHEMA,
    ...facts,
    struck: sum(({ struck }) => struck),
    still_out: outages.length - ended.length,
    outages: outages.length,
    took_ms: back.length === 0 ? null : back.at(-1)! - firstLoss,
    loss_span_ms: -minOf(lost.map((ms) => -ms)) - firstLoss,
    outage_ms: took === null
      ? null
      : { min: took.min, p50: took.p50, p90: took.p90, p99: took.p99, max: took.max },
    peak_reconnects_per_s: peakPerSecond(back),
    attempts: sum(({ attempts }) => attempts),
    failed_attempts: tallied(groups.map(({ failedAttempts }) => failedAttempts)),
    told: tallied(groups.map(({ told }) => told)),
    appointments: sum(({ appointments }) => appointments),
    environment: facts.environment,
  };
}

/**
 * The most moments that lie within one second, both ends included.
 *
 * @param momentsMs Ascending.
 */
export function peakPerSecond(momentsMs: Float64Array): number {
  let peak = 0;
  let first = 0;
  momentsMs.forEach((ms, at) => {
    while (ms - momentsMs[first]! > 1000) first++;
    peak = Math.max(peak, at - first + 1);
  });
  return peak;
}

function minOf(values: readonly number[]): number {
  return values.reduce((least, value) => Math.min(least, value), Infinity);
}
