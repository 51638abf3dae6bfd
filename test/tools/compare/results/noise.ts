/**
 * Measurements as a noisy machine would give them.
 *
 * @module
 */

import type { Random } from "../../../../tools/harness/random.ts";

/** Positive values around a median, skewed to the right as times are. */
export function lognormal(
  random: Random,
  { median, spread, count }: { median: number; spread: number; count: number },
): number[] {
  return Array.from({ length: count }, () => median * Math.exp(spread * normal(random)));
}

/** The same, of which one in seven was disturbed and took up to twice as long. */
export function disturbed(
  random: Random,
  plan: { median: number; spread: number; count: number },
): number[] {
  return lognormal(random, plan).map((value) =>
    random.below(7) === 0 ? value * (1.3 + random.below(700) / 1000) : value
  );
}

/** Standard normal, by Box and Muller's method. */
function normal(random: Random): number {
  const radius = Math.sqrt(-2 * Math.log((random.next() + 1) / 2 ** 32));
  return radius * Math.cos(2 * Math.PI * random.next() / 2 ** 32);
}
