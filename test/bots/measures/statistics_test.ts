import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import {
  histogram,
  median,
  medianQuantiles,
  nearestRank,
  quantiles,
} from "../../../bots/measures/statistics.ts";

describe("quantiles", () => {
  it("are by nearest rank", () => {
    // The example of Wikipedia's article on percentiles, and its results.
    const sorted = Float64Array.of(15, 20, 35, 40, 50);
    const results = [5, 30, 40, 50, 100].map((percent) => nearestRank(sorted, percent));
    assertEquals(results, [15, 20, 20, 35, 50]);
  });

  it("of 1 to 1,000 are the thousandths themselves", () => {
    const samples = Float64Array.from({ length: 1000 }, (_, at) => 1000 - at);
    assertEquals(quantiles(samples), {
      min: 1,
      p50: 500,
      p90: 900,
      p99: 990,
      p99_9: 999,
      max: 1000,
    });
    assertEquals(samples[0], 1000, "the samples were put in order");
  });

  it("of one sample are that sample, and of none are nothing", () => {
    const one = { min: 7, p50: 7, p90: 7, p99: 7, p99_9: 7, max: 7 };
    assertEquals(quantiles(Float64Array.of(7)), one);
    assertEquals(quantiles(new Float64Array(0)), null);
  });

  it("are samples with as many at or below them as they say", () => {
    fc.assert(fc.property(
      fc.array(fc.double({ noNaN: true }), { minLength: 1, maxLength: 300 }),
      fc.constantFrom(50, 90, 99, 99.9),
      (samples, percent) => {
        const sorted = Float64Array.from(samples).sort();
        const value = nearestRank(sorted, percent);
        const below = (limit: (sample: number) => boolean) => sorted.filter(limit).length;
        const enough = sorted.length * percent / 100;
        assertEquals(below((sample) => sample <= value) >= enough - 1e-9, true);
        assertEquals(below((sample) => sample < value) < enough, true);
      },
    ));
  });
});

describe("a median", () => {
  it("is the middle value, or the mean of the two in the middle", () => {
    assertEquals(median([3, 1, 2]), 2);
    assertEquals(median([10, 1, 2, 3]), 2.5);
    assertThrows(() => median([]), RangeError);
  });

  it("of quantiles is taken for each of them by itself", () => {
    const set = (max: number) => ({ min: -max, p50: 1, p90: 2, p99: 3, p99_9: 4, max });
    assertEquals(medianQuantiles([set(30), set(10), set(20)]), set(20));
    assertEquals(medianQuantiles([]), null);
  });
});

describe("a histogram", () => {
  it("has a bin for each step up to the maximum's, and the empty ones in between", () => {
    const samples = Float64Array.of(1, 499.9, 500, 500.1, 1700);
    assertEquals(histogram(samples, 500), [
      { upTo: 500, count: 3 },
      { upTo: 1000, count: 1 },
      { upTo: 1500, count: 0 },
      { upTo: 2000, count: 1 },
    ]);
    assertEquals(histogram(new Float64Array(0), 500), []);
  });

  it("counts every sample once, even those that a clock ahead of ours made negative", () => {
    fc.assert(fc.property(
      fc.array(fc.double({ noNaN: true, min: -1000, max: 20_000 })),
      (samples) => {
        const bins = histogram(Float64Array.from(samples), 500);
        assertEquals(bins.reduce((sum, { count }) => sum + count, 0), samples.length);
      },
    ));
  });
});
