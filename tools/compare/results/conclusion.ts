/**
 * Puts verdicts into sentences.
 *
 * @module
 */

import { number, ratio, unitValue } from "./format.ts";
import { type MetricName, metricOf } from "./metrics.ts";
import type { Comparison, IntervalReport, SizeReport } from "./report.ts";
import { EQUAL_PERCENT } from "./verdict.ts";

type Size = Omit<SizeReport, "conclusions">;

/**
 * The verdict on how soon `arm` reaches its last subscriber, compared with `baseline`. If that is
 * undecided, the verdicts on the other metrics follow.
 */
export function conclusionOn(size: Size, baseline: string, arm: string): string {
  const { n, comparisons } = size;
  const ofArm = comparisons.filter((comparison) => comparison.arm === arm);
  const last = ofArm.find(({ metric }) => metric === "max_ms")!;
  const subscribers = n === 1 ? "its one subscriber" : `the last of ${number(n)} subscribers`;
  if (last.verdict === "inconclusive") {
    const doubt = last.ratio === null
      ? `Undecided whether ${arm} or ${baseline} reaches ${subscribers} sooner: ${last.because}.`
      : `Undecided: ${arm} reached ${subscribers} in ${times(size, last)}${ranges(last)}: ` +
        `${last.because}.`;
    return doubt + decidedOf(size, ofArm);
  }
  const reaches = `reaches ${subscribers} in ${times(size, last)}`;
  return last.verdict === "no difference"
    ? `No difference: ${arm} ${reaches}; the ratio's 95 % interval, ${
      range(last.interval!)
    }, lies within ` +
      `${EQUAL_PERCENT} % of 1.`
    : `${arm} is ${last.verdict}: it ${reaches}; the ratio's 95 % interval is ${
      range(last.interval!)
    }.`;
}

/** Such as `0.80 times Deno's time, 80.0 ms against 100 ms`. */
function times(size: Size, { arm, baseline, ratio: value }: Comparison): string {
  return `${ratio(value!)} times ${baseline}'s time, ${values(size, "max_ms", arm, baseline)}`;
}

function ranges({ interval, wide_interval }: Comparison): string {
  return interval === null || wide_interval === null ? "" : `; the ratio's intervals are ` +
    `${range(interval)} (95 %) and ${range(wide_interval)} (99.9 %)`;
}

function range({ low, high }: IntervalReport): string {
  return `${ratio(low)} to ${ratio(high)}`;
}

function values({ arms }: Size, metric: MetricName, arm: string, baseline: string): string {
  const [ours, theirs] = [arm, baseline].map((name) =>
    unitValue(arms.find((result) => result.arm === name)!.metrics[metric]!.median, metricOf(metric))
  );
  return `${ours} against ${theirs}`;
}

function decidedOf(size: Size, comparisons: readonly Comparison[]): string {
  const parts = comparisons.filter(({ verdict }) => verdict !== "inconclusive")
    .map(({ arm, baseline, metric, ratio: value, verdict }) => {
      const { title } = metricOf(metric);
      const what = verdict === "no difference"
        ? `no difference in ${title}`
        : `${title} ${verdict}`;
      return `${what} (${ratio(value!)} ×, ${values(size, metric, arm, baseline)})`;
    });
  return parts.length === 0
    ? ""
    : ` Decided against ${comparisons[0]!.baseline}: ${parts.join(", ")}.`;
}
