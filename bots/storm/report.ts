/**
 * What a storm was like, as `--json` writes it.
 *
 * @module
 */

import type { EnvironmentReport } from "../results/report.ts";
import { tallied, type Tally } from "../measures/tally.ts";
import { quantiles } from "../measures/statistics.ts";
import type { SquadStorm } from "../fleet/reconnection.ts";

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

/** What a storm was like. */
export interface StormReport {
  schema: typeof STORM_SCHEMA;
  /** When the bots began to connect, by the system's clock, in ISO 8601. */
  started_at: string;
  target: { host: string; port: number; addresses: string[]; dialect: string };
  /** Bots that were asked for. */
  n: number;
  /** Bots that were subscribed when the storm began. */
  subscribed: number;
  /** Whether it was a storm of n bots. False where one never subscribed before it. */
  valid: boolean;
  /** Why it wasn't, in words for people. */
  invalid_because: string[];
  /** Bots that lost their connection, once or more. */
  struck: number;
  /** Bots that had no subscription in the end. */
  still_out: number;
  /** Times without a subscription, of all bots. */
  outages: number;
  /** From the first connection lost to the last bot that was subscribed again. */
  took_ms: number | null;
  /** From the first connection lost to the last one. */
  loss_span_ms: number;
  /** How long each outage took that ended; `null` if none did. */
  outage_ms: OutageQuantiles | null;
  /** The most bots that were subscribed again within one second, wherever it begins. */
  peak_reconnects_per_s: number;
  /** Connections that were tried for. */
  attempts: number;
  failed_attempts: Tally;
  /** What the server said to those whose connection it ended, or refused. */
  told: Tally;
  /** How often it said when to come back. */
  appointments: number;
  environment: EnvironmentReport;
}

/** What is known of a storm before its bots are asked. */
export type StormFacts = Pick<
  StormReport,
  "started_at" | "target" | "n" | "subscribed" | "valid" | "invalid_because" | "environment"
>;

/** Adds up what befell all bots. At least one must have lost its connection. */
export function buildStormReport(
  facts: StormFacts,
  squads: readonly SquadStorm[],
): StormReport {
  const outages = squads.flatMap((squad) => squad.outages);
  const lost = outages.map(({ lostAtMs }) => lostAtMs);
  const ended = outages.flatMap(({ lostAtMs, backAtMs }) =>
    backAtMs === null ? [] : [{ lostAtMs, backAtMs }]
  );
  const back = Float64Array.from(ended, ({ backAtMs }) => backAtMs).sort();
  const firstLoss = minOf(lost);
  const took = quantiles(Float64Array.from(ended, ({ lostAtMs, backAtMs }) => backAtMs - lostAtMs));
  const sum = (pick: (squad: SquadStorm) => number) =>
    squads.reduce((total, squad) => total + pick(squad), 0);
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
    failed_attempts: tallied(squads.map(({ failedAttempts }) => failedAttempts)),
    told: tallied(squads.map(({ told }) => told)),
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
