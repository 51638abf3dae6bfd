/**
 * When a difference is called one.
 *
 * @module
 */

import type { Estimate } from "./bootstrap.ts";

/**
 * What is to be said of a ratio.
 *
 * - `lower`, `higher`: the other one's value is lower or higher than the baseline's.
 * - `equal`: if they differ, then by no more than {@linkcode EQUAL_WITHIN}.
 * - `unknown`: these runs don't tell.
 */
export type Finding = "lower" | "higher" | "equal" | "unknown";

/** Up to this ratio, either way, two values count as equal: nobody chooses a server for 5 %. */
export const EQUAL_WITHIN = 1.05;

/** The same as a percentage. */
export const EQUAL_PERCENT = Math.round((EQUAL_WITHIN - 1) * 100);

/**
 * Runs that an arm needs for a verdict. Six is the smallest number of which a median's interval of
 * 95 % can be had at all: that five values all lie on one side of it happens in 6 % of all cases.
 */
export const MIN_RUNS = 6;

/**
 * Judges a ratio by two conditions.
 *
 * A difference must be worth having: the 95 % interval lies wholly beyond {@linkcode EQUAL_WITHIN}. And
 * it must not be luck: the 99.9 % interval doesn't hold 1 either, because a report looks at many
 * metrics, and at one in twenty of them an interval of 95 % errs. Equality needs the 95 % interval to
 * lie wholly within. All else is unknown.
 *
 * It doesn't matter which of the two is the baseline: swapped, `lower` and `higher` change places.
 */
export function judge({ interval, wideInterval }: Estimate): Finding {
  if (interval.high < 1 / EQUAL_WITHIN && wideInterval.high < 1) return "lower";
  if (interval.low > EQUAL_WITHIN && wideInterval.low > 1) return "higher";
  if (interval.low >= 1 / EQUAL_WITHIN && interval.high <= EQUAL_WITHIN) return "equal";
  return "unknown";
}

/** Which condition an estimate lacks that {@linkcode judge} calls unknown: a clause. */
export function doubtOn({ interval: { low, high } }: Estimate): string {
  if (low <= 1 && high >= 1) {
    return `the 95 % interval holds 1 and reaches beyond the ${EQUAL_PERCENT} % that count as equal`;
  }
  if (low <= EQUAL_WITHIN && high >= 1 / EQUAL_WITHIN) {
    return `the 95 % interval lies partly within the ${EQUAL_PERCENT} % around 1 that count as equal`;
  }
  return `the 95 % interval lies wholly beyond ${EQUAL_PERCENT} %, but the 99.9 % interval holds 1, ` +
    `and a difference takes both`;
}
