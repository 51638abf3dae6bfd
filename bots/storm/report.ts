/**
 * The report of a storm, as `--json` writes it.
 *
 * @module
 */

import type { EnvironmentReport } from "../results/report.ts";
import { tallied, type Tally } from "../measures/tally.ts";
import { quantiles } from "../measures/statistics.ts";
import type { GroupStorm } from "../fleet/reconnection.ts";
import type { GroupResumption } from "../fleet/resumption.ts";

/** The version of the format. Members may be added to it; anything else makes a new version. */
export const STORM_SCHEMA = "hotwheels-storm/1";

/** By nearest rank. */
export interface StormQuantiles {
  min: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
}

/** The messages that bots got which came back with their positions. */
export interface ResumptionReport {
  /** Messages that were sent to the server. It may have lost those that were on their way when it ended. */
  published: number;
  /** Answers to bots that said where they were. */
  resumes: number;
  /** Those with `"recovered":true`. */
  recovered: number;
  reasons: Tally;
  /** Answers that name origins which crashed. */
  crashed: number;
  /** The number of messages that an answer announced; `null` without any answer. */
  missed_messages: StormQuantiles | null;
  /** Milliseconds from the first lost connection until the last bot had what it had missed. */
  level_ms: number | null;
  /** Bots that never got all that an answer announced. */
  behind: number;
  /** Connected bots that were promised everything by each answer. */
  whole: number;
  /** Messages that one of these bots lacks though another bot has it. Each counts once for each bot. */
  missing: number;
  /** Messages that a bot got twice. */
  duplicate: number;
  /** Frames that aren't as they were published, or not in the order in which they were. */
  wrong: number;
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
  outage_ms: StormQuantiles | null;
  /** The most bots that were subscribed again within one second, wherever that second begins. */
  peak_reconnects_per_s: number;
  /** Attempts to connect again. */
  attempts: number;
  failed_attempts: Tally;
  /** The server's refusals and goodbyes, counted by code. */
  told: Tally;
  /** The number of times that the server said when to come back. */
  appointments: number;
  /** `null` if the bots came back without their positions. */
  resumption: ResumptionReport | null;
  /** Seconds of processor time that the server used in the storm; `null` if its admin port isn't known. */
  server_cpu_s: number | null;
  environment: EnvironmentReport;
}

/** The part of the report that doesn't come from the bots. */
export type StormFacts =
  & Pick<
    StormReport,
    | "started_at"
    | "target"
    | "n"
    | "subscribed"
    | "valid"
    | "invalid_because"
    | "server_cpu_s"
    | "environment"
  >
  & { readonly published: number };

/** Adds up the results of all groups. At least one bot must have lost its connection. */
export function buildStormReport(
  { published, ...facts }: StormFacts,
  groups: readonly GroupStorm[],
): StormReport {
  const outages = groups.flatMap((group) => group.outages);
  const lost = outages.map(({ lostAtMs }) => lostAtMs);
  const ended = outages.flatMap(({ lostAtMs, backAtMs }) =>
    backAtMs === null ? [] : [{ lostAtMs, backAtMs }]
  );
  const back = Float64Array.from(ended, ({ backAtMs }) => backAtMs).sort();
  const firstLoss = minOf(lost);
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
    outage_ms: stormQuantiles(
      Float64Array.from(ended, ({ lostAtMs, backAtMs }) => backAtMs - lostAtMs),
    ),
    peak_reconnects_per_s: peakPerSecond(back),
    attempts: sum(({ attempts }) => attempts),
    failed_attempts: tallied(groups.map(({ failedAttempts }) => failedAttempts)),
    told: tallied(groups.map(({ told }) => told)),
    appointments: sum(({ appointments }) => appointments),
    resumption: resumptionReport(published, firstLoss, groups),
    environment: facts.environment,
  };
}

function resumptionReport(
  published: number,
  firstLossMs: number,
  all: readonly GroupStorm[],
): ResumptionReport | null {
  const groups = all.flatMap(({ resumption }) => resumption === null ? [] : [resumption]);
  if (groups.length === 0) return null;
  const sum = (pick: (group: GroupResumption) => number) =>
    groups.reduce((total, group) => total + pick(group), 0);
  const reasons = tallied(groups.map((group) => group.reasons));
  const lastLevelAtMs = Math.max(...groups.map((group) => group.lastLevelAtMs));
  const accepted = [...new Set(groups.flatMap(({ seen }) => seen))];
  return {
    published,
    resumes: Object.values(reasons).reduce((total, count) => total + count, 0),
    recovered: reasons["ok"] ?? 0,
    reasons,
    crashed: sum(({ crashed }) => crashed),
    missed_messages: stormQuantiles(Float64Array.from(groups.flatMap(({ missed }) => missed))),
    level_ms: lastLevelAtMs > firstLossMs ? lastLevelAtMs - firstLossMs : null,
    behind: sum(({ behind }) => behind),
    whole: sum(({ whole }) => whole),
    missing: sum(({ whole, had }) =>
      accepted.reduce((total, number) => total + whole - had[number]!, 0)
    ),
    duplicate: sum(({ duplicates }) => duplicates),
    wrong: sum(({ wrong }) => wrong),
  };
}

function stormQuantiles(samples: Float64Array): StormQuantiles | null {
  const all = quantiles(samples);
  if (all === null) return null;
  const { min, p50, p90, p99, max } = all;
  return { min, p50, p90, p99, max };
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
