/**
 * Decides whether two servers differ.
 *
 * @module
 */

import type { Estimate } from "./bootstrap.ts";

/**
 * The finding on a ratio.
 *
 * - `lower`, `higher`: the arm's value is lower or higher than the baseline's.
 * - `equal`: they differ by no more than {@linkcode EQUAL_WITHIN}.
 * - `unknown`: these runs can't tell.
 */
export type Finding = "lower" | "higher" | "equal" | "unknown";

/** Up to this ratio, either way, two values count as equal: 5 % is no reason to choose a server. */
export const EQUAL_WITHIN = 1.05;

/** The same as a percentage. */
export const EQUAL_PERCENT = Math.round((EQUAL_WITHIN - 1) * 100);

/**
 * The runs that an arm needs for a verdict. Six is the smallest number for which a median has a 95 %
 * interval at all: five values all lie on one side of it in 6 % of all cases.
 */
export const MIN_RUNS = 6;

/**
 * Judges a ratio by two conditions.
 *
 * A difference must matter: the 95 % interval lies wholly beyond {@linkcode EQUAL_WITHIN}. And it must
 * not be chance: the 99.9 % interval doesn't include 1 either, because a report looks at many metrics,
 * and a 95 % interval is wrong for one in twenty of them. Equality needs the 95 % interval to lie wholly
 * within. Anything else is unknown.
 *
 * Either arm may be the baseline: swapped, `lower` and `higher` change places.
 */
export function judge({ interval, wideInterval }: Estimate): Finding {
  if (interval.high < 1 / EQUAL_WITHIN && wideInterval.high < 1) return "lower";
  if (interval.low > EQUAL_WITHIN && wideInterval.low > 1) return "higher";
  if (interval.low >= 1 / EQUAL_WITHIN && interval.high <= EQUAL_WITHIN) return "equal";
  return "unknown";
}

/** The condition that an `unknown` estimate doesn't meet, as a clause. */
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
