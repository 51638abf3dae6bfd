/**
 * Builds the report of a comparison from its runs.
 *
 * @module
 */

import type { EnvironmentRecord } from "../../doctor/environment_record.ts";
import { median, quantiles } from "../../../bots/measures/statistics.ts";
import { type Estimate, estimateMedian, estimateRatio, type Interval } from "./bootstrap.ts";
import { conclusionOn } from "./conclusion.ts";
import { type Metric, type MetricName, METRICS, verdictOn } from "./metrics.ts";
import { Random } from "../../harness/random.ts";
import {
  type ArmReport,
  type ArmResult,
  type CompareReport,
  type Comparison,
  type InterruptionReport,
  type IntervalReport,
  type MedianReport,
  type OptionsReport,
  type RunReport,
  SCHEMA,
  type SizeReport,
} from "./report.ts";
import { unpackLatencies } from "./samples.ts";
import { doubtOn, judge, MIN_RUNS } from "./verdict.ts";

/** The circumstances of the runs. */
export interface ReportContext {
  readonly startedAt: Date;
  readonly endedAt: Date;
  readonly options: OptionsReport;
  readonly arms: readonly ArmReport[];
  /** Ascending. */
  readonly sizes: readonly number[];
  readonly environment: EnvironmentRecord;
  readonly interrupted: InterruptionReport | null;
}

/** Judges a comparison. The same runs and seed make the same report. */
export function buildReport(runs: readonly RunReport[], context: ReportContext): CompareReport {
  const names = context.arms.map(({ name }) => name);
  // Don't use the session's generator: a report built again from its own runs must come out the same.
  const random = new Random(context.options.seed);
  const sizes = context.sizes.map((n): SizeReport => {
    const ofSize = runs.filter((run) => run.n === n);
    const [baseline, ...others] = names.map((arm) => ofSize.filter((run) => run.arm === arm));
    const size = {
      n,
      arms: names.map((arm) => armResult(arm, ofSize.filter((run) => run.arm === arm), random)),
      comparisons: others.flatMap((runs, at) => {
        const side = { name: names[at + 1]!, runs };
        return METRICS.map((metric) =>
          compare(metric, side, { name: names[0]!, runs: baseline! }, random)
        );
      }),
    };
    return {
      ...size,
      conclusions: names.slice(1).map((arm) => conclusionOn(size, names[0]!, arm)),
    };
  });
  return {
    schema: SCHEMA,
    started_at: context.startedAt.toISOString(),
    ended_at: context.endedAt.toISOString(),
    interrupted: context.interrupted,
    options: context.options,
    arms: [...context.arms],
    conclusions: sizes.at(-1)!.conclusions,
    sizes,
    runs: [...runs],
    environment: context.environment,
  };
}

function armResult(arm: string, runs: readonly RunReport[], random: Random): ArmResult {
  const valid = runs.filter((run) => run.valid);
  const metrics = METRICS.map(({ name }) => [name, medianReport(valuesOf(runs, name), random)]);
  return {
    arm,
    valid_runs: valid.length,
    invalid_runs: runs.length - valid.length,
    held_up_messages: valid.flatMap(({ rounds }) => rounds)
      .filter(({ warmup, counted }) => !warmup && !counted).length,
    metrics: Object.fromEntries(metrics) as Record<MetricName, MedianReport | null>,
    latency_ms: quantiles(pooledLatencies(runs)),
  };
}

function medianReport(values: readonly number[], random: Random): MedianReport | null {
  if (values.length === 0) return null;
  if (values.length < MIN_RUNS) return { median: median(values), interval: null };
  const { value, interval } = estimateMedian(values, random);
  return { median: value, interval: intervalReport(interval) };
}

interface Side {
  readonly name: string;
  readonly runs: readonly RunReport[];
}

function compare(metric: Metric, side: Side, baseline: Side, random: Random): Comparison {
  const values = valuesOf(side.runs, metric.name);
  const baselineValues = valuesOf(baseline.runs, metric.name);
  const of = { arm: side.name, baseline: baseline.name, metric: metric.name };
  const without = (because: string, ratio: number | null = null): Comparison => ({
    ...of,
    ratio,
    interval: null,
    wide_interval: null,
    verdict: "inconclusive",
    because,
  });
  const missing = [baseline, side].filter(({ runs }) => valuesOf(runs, metric.name).length === 0);
  if (missing.length > 0) {
    const names = missing.map(({ name }) => name).join(" or ");
    const hasNone = missing.every(({ runs }) => !runs.some(({ valid }) => valid));
    return without(
      hasNone ? `there is no valid run of ${names}` : `no valid run of ${names} has this figure`,
    );
  }
  const ratio = median(values) / median(baselineValues);
  if (Math.min(values.length, baselineValues.length) < MIN_RUNS) {
    const counts = values.length === baselineValues.length
      ? `${values.length} of each`
      : `${values.length} of ${side.name} and ${baselineValues.length} of ${baseline.name}`;
    const verb = values.length === 1 ? "is" : "are";
    const because = `a verdict takes ${MIN_RUNS} valid runs of each, and there ${verb} ${counts}`;
    return without(because, Number.isFinite(ratio) && ratio > 0 ? ratio : null);
  }
  const estimate = estimateRatio(values, baselineValues, random);
  if (estimate === null) return without("it was too small to be measured in some run");
  return { ...of, ...comparisonOf(metric, estimate) };
}

function comparisonOf(metric: Metric, estimate: Estimate) {
  const finding = judge(estimate);
  return {
    ratio: estimate.value,
    interval: intervalReport(estimate.interval),
    wide_interval: intervalReport(estimate.wideInterval),
    verdict: verdictOn(metric, finding),
    because: finding === "unknown" ? doubtOn(estimate) : null,
  };
}

function intervalReport({ low, high }: Interval): IntervalReport {
  return { low, high };
}

/** The metric's values in the valid runs that have it, in the order of the runs. */
export function valuesOf(runs: readonly RunReport[], metric: MetricName): number[] {
  return runs.filter((run) => run.valid).map((run) => run.metrics[metric])
    .filter((value) => value !== null);
}

/** All latencies of the counted rounds of valid runs in milliseconds, in no order. */
export function pooledLatencies(runs: readonly RunReport[]): Float64Array {
  const rounds = runs.filter((run) => run.valid).flatMap((run) => countedLatencies(run));
  const pooled = new Float64Array(rounds.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const latencies of rounds) {
    pooled.set(latencies, at);
    at += latencies.length;
  }
  return pooled;
}

/** A run's counted rounds, each in milliseconds and ascending. */
function countedLatencies({ rounds }: RunReport): Float64Array[] {
  return rounds.filter(({ counted }) => counted).map((round) =>
    unpackLatencies(round.latencies_us)
  );
}
