import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "node:test";
import {
  estimateMedian,
  estimateRatio,
  type Interval,
} from "../../../../tools/compare/results/bootstrap.ts";
import { Random } from "../../../../tools/harness/random.ts";
import { median } from "../../../../bots/measures/statistics.ts";
import { lognormal } from "./noise.ts";

const SLOW = { timeout: 120_000 };

const FIRST = [101.2, 98.7, 110.5, 95.1, 102.3, 99.9, 130.8, 97.6, 104.4, 100.0];
const SECOND = [121.0, 119.5, 133.2, 118.8, 125.1, 117.7, 122.9, 140.6, 120.2, 116.3];

function isNear(value: number, expected: number, part: number): boolean {
  return Math.abs(value / expected - 1) < part;
}

function assertNear({ low, high }: Interval, expected: Interval, part: number): void {
  const says = `${low} to ${high} instead of ${expected.low} to ${expected.high}`;
  assertEquals(isNear(low, expected.low, part) && isNear(high, expected.high, part), true, says);
}

/** Every resample there is, each as likely as any other: the medians, ascending. */
function allMedians(values: readonly number[]): number[] {
  const { length } = values;
  return Array.from({ length: length ** length }, (_, resample) => {
    const drawn = Array.from(
      values,
      (_, at) => values[Math.floor(resample / length ** at) % length]!,
    );
    return median(drawn);
  });
}

/** The share of values below a limit, and of those not above it. */
function sharesAt(values: readonly number[], limit: number): [below: number, upTo: number] {
  const share = (isIn: (value: number) => boolean) => values.filter(isIn).length / values.length;
  return [share((value) => value < limit), share((value) => value <= limit)];
}

describe("the bootstrap", () => {
  it("finds the intervals that SciPy finds", () => {
    // scipy.stats.bootstrap 1.17.1, method="percentile", n_resamples=200_000.
    const ratio = estimateRatio(SECOND, FIRST, new Random(1))!;
    assertEquals(isNear(ratio.value, 1.1988, 0.0001), true);
    assertNear(ratio.interval, { low: 1.1385, high: 1.2662 }, 0.004);
    assertNear(ratio.wideInterval, { low: 0.9996, high: 1.36 }, 0.012);
    const one = estimateMedian(FIRST, new Random(1));
    assertEquals(one.value, 100.6);
    assertEquals(one.interval, { low: 98.7, high: 106.4 });
    assertEquals(one.wideInterval, { low: 96.35, high: 120.65 });
  });

  for (const count of [4, 5]) {
    it(`cuts off what all resamples of ${count} runs, listed one by one, have there`, SLOW, () => {
      const first = FIRST.slice(0, count);
      const second = SECOND.slice(-count);
      const denominators = allMedians(first);
      const distinct = new Map<number, number>();
      for (const value of denominators) distinct.set(value, (distinct.get(value) ?? 0) + 1);
      // Each different median of the first, as often as it is there, under each of the second.
      const ratios = allMedians(second).flatMap((numerator) =>
        [...distinct].map(([value, times]) => ({ ratio: numerator / value, times }))
      );
      const total = denominators.length ** 2;
      const below = (limit: number, slack: number) =>
        ratios.reduce((sum, { ratio, times }) => sum + (ratio < limit + slack ? times : 0), 0) /
        total;
      const { interval } = estimateRatio(second, first, new Random(3))!;
      // Five standard errors of a share of 2.5 % in 20,000 resamples.
      const error = 0.0055;
      const tiny = 1e-9;
      assertEquals(below(interval.low, -tiny) <= 0.025 + error, true);
      assertEquals(below(interval.low, tiny) >= 0.025 - error, true);
      assertEquals(below(interval.high, -tiny) <= 0.975 + error, true);
      assertEquals(below(interval.high, tiny) >= 0.975 - error, true);
      const one = estimateMedian(first, new Random(3)).interval;
      const [belowLow, upToLow] = sharesAt(denominators, one.low);
      assertEquals(belowLow <= 0.025 + error && upToLow >= 0.025 - error, true);
      const [belowHigh, upToHigh] = sharesAt(denominators, one.high);
      assertEquals(belowHigh <= 0.975 + error && upToHigh >= 0.975 - error, true);
    });
  }

  it("holds the true ratio about as often as it says", SLOW, () => {
    const random = new Random(11);
    const trials = 100;
    let held = 0;
    for (let trial = 0; trial < trials; trial++) {
      const baseline = lognormal(random, { median: 100, spread: 0.15, count: 10 });
      const values = lognormal(random, { median: 130, spread: 0.15, count: 10 });
      const { interval } = estimateRatio(values, baseline, random)!;
      if (interval.low <= 1.3 && 1.3 <= interval.high) held++;
    }
    // With so few runs it errs to the safe side; 95 % and three standard errors are 88.4 % and more.
    assertEquals(held / trials > 0.884 && held / trials < 1, true, `${held} of ${trials}`);
  });

  it("gives the same for the same seed, whatever the order of the runs", () => {
    const one = estimateRatio(SECOND, FIRST, new Random(5));
    assertEquals(estimateRatio(SECOND, FIRST, new Random(5)), one);
    assertEquals(estimateRatio(SECOND.toReversed(), FIRST.toSorted(), new Random(5)), one);
  });

  it("has no width where all runs are alike", () => {
    const alike = [3, 3, 3, 3, 3, 3];
    const nothing = { low: 0.5, high: 0.5 };
    assertEquals(estimateRatio(alike, alike.map((value) => value * 2), new Random(1)), {
      value: 0.5,
      interval: nothing,
      wideInterval: nothing,
    });
  });

  it("knows no ratio where a value isn't above zero, and no median of nothing", () => {
    assertEquals(estimateRatio([1, 2, 0], [1, 2, 3], new Random(1)), null);
    assertEquals(estimateRatio([1, 2, 3], [1, -2, 3], new Random(1)), null);
    assertThrows(() => estimateMedian([], new Random(1)), RangeError);
    assertThrows(() => estimateRatio([], [1], new Random(1)), RangeError);
  });
});
