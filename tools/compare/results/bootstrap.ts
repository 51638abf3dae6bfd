/**
 * Estimates how certain a median is, and a ratio of two medians, from a few runs with an unknown
 * distribution.
 *
 * This is the percentile bootstrap of Efron (1979): draw as many runs as there are, with replacement,
 * take the statistic, and repeat that many thousand times; the middle 95 % of the results is the
 * interval. It draws runs, never messages or subscribers: those of one run share its process, its memory
 * and its moment, so that thousands of them are no more than one witness.
 *
 * @module
 */

import { median } from "../../../bots/measures/statistics.ts";
import type { Random } from "../../harness/random.ts";

/** From `low` to `high`. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** A value, and the intervals in which the true one is likely to lie. */
export interface Estimate {
  readonly value: number;
  /** The middle 95 % of the resamples. */
  readonly interval: Interval;
  /** The middle 99.9 % of them. */
  readonly wideInterval: Interval;
}

/**
 * The number of resamples. Twenty thousand leave ten beyond each end of the wide interval, and five
 * hundred beyond each end of the narrow one; another seed then moves its ends by far less than its width.
 */
const RESAMPLES = 20_000;

const CONFIDENCE = 0.95;
const WIDE_CONFIDENCE = 0.999;

/**
 * The median of some runs' values.
 *
 * @throws {RangeError} without values.
 */
export function estimateMedian(values: readonly number[], random: Random): Estimate {
  const draw = resampler(values, random);
  return estimate(median(values), () => draw());
}

/**
 * The median of `values` over that of `baseline`. The two are drawn independently of each other.
 *
 * @returns `null` if a value isn't above zero, since then there is no ratio.
 * @throws {RangeError} without values.
 */
export function estimateRatio(
  values: readonly number[],
  baseline: readonly number[],
  random: Random,
): Estimate | null {
  const ratio = median(values) / median(baseline);
  if ([...values, ...baseline].some((value) => !(value > 0))) return null;
  const draw = resampler(values, random);
  const drawBaseline = resampler(baseline, random);
  return estimate(ratio, () => draw() / drawBaseline());
}

function estimate(value: number, draw: () => number): Estimate {
  const drawn = Float64Array.from({ length: RESAMPLES }, draw).sort();
  return {
    value,
    interval: middle(drawn, CONFIDENCE),
    wideInterval: middle(drawn, WIDE_CONFIDENCE),
  };
}

/** The middle part of sorted values, with equally many left out on both sides. */
function middle(sorted: Float64Array, part: number): Interval {
  const beyond = Math.floor(sorted.length * (1 - part) / 2);
  return { low: sorted[beyond]!, high: sorted[sorted.length - 1 - beyond]! };
}

/**
 * Returns a function that draws as many values as there are, with replacement, and returns their median.
 */
function resampler(values: readonly number[], random: Random): () => number {
  const sorted = Float64Array.from(values).sort();
  const { length } = sorted;
  const times = new Uint32Array(length);
  // The middle value's index, or those of the two middle values, whose mean is the median.
  const lower = (length - 1) >> 1;
  const upper = length >> 1;
  return () => {
    times.fill(0);
    for (let count = 0; count < length; count++) times[random.below(length)]!++;
    let at = 0;
    let seen = times[0]!;
    while (seen <= lower) seen += times[++at]!;
    const first = sorted[at]!;
    while (seen <= upper) seen += times[++at]!;
    return (first + sorted[at]!) / 2;
  };
}
