import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { estimateRatio } from "../../../../tools/compare/results/bootstrap.ts";
import { METRICS, verdictOn } from "../../../../tools/compare/results/metrics.ts";
import { Random } from "../../../../tools/harness/random.ts";
import { EQUAL_WITHIN, type Finding, judge } from "../../../../tools/compare/results/verdict.ts";
import { disturbed, lognormal } from "./noise.ts";

const SLOW = { timeout: 120_000 };

function finding(low: number, high: number, wideLow = low, wideHigh = high): Finding {
  return judge({
    value: (low + high) / 2,
    interval: { low, high },
    wideInterval: { low: wideLow, high: wideHigh },
  });
}

describe("a ratio", () => {
  it("is a difference only when its interval lies wholly beyond five per cent", () => {
    assertEquals(finding(1.06, 1.2), "higher");
    assertEquals(finding(1.04, 1.2), "unknown");
    assertEquals(finding(0.8, 0.94), "lower");
    assertEquals(finding(0.8, 0.96), "unknown");
    assertEquals(finding(0.8, 1.2), "unknown");
  });

  it("is no difference while the wide interval holds equal", () => {
    assertEquals(finding(1.06, 1.2, 0.99, 1.3), "unknown");
    assertEquals(finding(1.06, 1.2, 1.01, 1.3), "higher");
    assertEquals(finding(0.8, 0.94, 0.7, 1.01), "unknown");
    assertEquals(finding(0.8, 0.94, 0.7, 0.99), "lower");
  });

  it("is equal only when its interval lies wholly within five per cent", () => {
    assertEquals(finding(0.96, 1.04, 0.9, 1.1), "equal");
    assertEquals(finding(1.01, 1.03), "equal");
    assertEquals(finding(1 / EQUAL_WITHIN, EQUAL_WITHIN), "equal");
    assertEquals(finding(0.96, 1.06), "unknown");
    assertEquals(finding(0.94, 1.04), "unknown");
  });

  it("is found the other way round when the two change places", () => {
    const opposite = { lower: "higher", higher: "lower", equal: "equal", unknown: "unknown" };
    const random = new Random(4);
    const found = new Set<Finding>();
    for (let trial = 0; trial < 400; trial++) {
      const low = 0.7 + random.below(600) / 1000;
      const high = low + random.below(200) / 1000;
      const wide = random.below(100) / 1000;
      const one = finding(low, high, low - wide, high + wide);
      const other = finding(1 / high, 1 / low, 1 / (high + wide), 1 / (low - wide));
      assertEquals(other, opposite[one]);
      found.add(one);
    }
    assertEquals(found.size, 4);
  });
});

/** The number of times that each finding comes out of two samples. */
function findings(
  trials: number,
  draw: (random: Random) => [values: number[], baseline: number[]],
): Partial<Record<Finding, number>> {
  const random = new Random(20_090_700);
  const counts: Partial<Record<Finding, number>> = {};
  for (let trial = 0; trial < trials; trial++) {
    const found = judge(estimateRatio(...draw(random), random)!);
    counts[found] = (counts[found] ?? 0) + 1;
  }
  return counts;
}

describe("two samples of the same server", () => {
  for (const count of [6, 10]) {
    for (const spread of [0.05, 0.3]) {
      it(`hardly ever find a winner in ${count} runs that vary by ${spread * 100} %`, SLOW, () => {
        for (const noise of [lognormal, disturbed]) {
          const plan = { median: 100, spread, count };
          const found = findings(60, (random) => [noise(random, plan), noise(random, plan)]);
          // By far rarer than the one in twenty at which an interval of 95 % alone would err.
          assertEquals((found.lower ?? 0) + (found.higher ?? 0) <= 1, true, JSON.stringify(found));
        }
      });
    }
  }

  it("are found not to differ when they hardly vary", SLOW, () => {
    const plan = { median: 100, spread: 0.02, count: 10 };
    const found = findings(60, (random) => [lognormal(random, plan), lognormal(random, plan)]);
    assertEquals((found.equal ?? 0) >= 57, true, JSON.stringify(found));
  });
});

describe("a server that was held back", () => {
  it("is found, the sooner the more", SLOW, () => {
    for (const [slowdown, spread, atLeast] of [[1.2, 0.05, 57], [1.5, 0.15, 48], [2, 0.3, 45]]) {
      const found = findings(60, (random) => [
        lognormal(random, { median: 100 * slowdown!, spread: spread!, count: 10 }),
        lognormal(random, { median: 100, spread: spread!, count: 10 }),
      ]);
      assertEquals((found.higher ?? 0) >= atLeast!, true, JSON.stringify(found));
      assertEquals(found.lower, undefined);
    }
  });
});

it("a verdict on times says faster or slower, and on what is used less or more", () => {
  const said = (kind: "time" | "use") => {
    const metric = METRICS.find((metric) => metric.kind === kind)!;
    return (["lower", "higher", "equal", "unknown"] as const).map((one) => verdictOn(metric, one));
  };
  assertEquals(said("time"), ["faster", "slower", "no difference", "inconclusive"]);
  assertEquals(said("use"), ["less", "more", "no difference", "inconclusive"]);
});
