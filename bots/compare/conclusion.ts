/**
 * Verdicts in sentences.
 *
 * @module
 */

import { number, ratio, unitValue } from "./format.ts";
import { metricOf } from "./metrics.ts";
import type { IntervalReport, SizeReport } from "./report.ts";
import { EQUAL_WITHIN } from "./verdict.ts";

const LAST = metricOf("max_ms");

/** The percentage within which two values count as equal. */
export const EQUAL_PERCENT = Math.round((EQUAL_WITHIN - 1) * 100);

/** The verdict on how soon `arm` reaches its last subscriber, against `baseline`. */
export function conclusionOn(
  { n, arms, comparisons }: Omit<SizeReport, "conclusions">,
  baseline: string,
  arm: string,
): string {
  const { ratio: value, interval, verdict, because } = comparisons.find((comparison) =>
    comparison.arm === arm && comparison.metric === "max_ms"
  )!;
  const subscribers = n === 1 ? "its one subscriber" : `the last of ${number(n)} subscribers`;
  if (value === null || interval === null) {
    return `Undecided which of ${arm} and ${baseline} reaches ${subscribers} sooner: ${because}.`;
  }
  const timeOf = (name: string) =>
    unitValue(arms.find((result) => result.arm === name)!.metrics.max_ms!.median, LAST);
  const times = `${timeOf(arm)} against ${timeOf(baseline)}`;
  switch (verdict) {
    case "faster":
      return `${arm} reaches ${subscribers} ${ratio(1 / value)} times as fast as ${baseline}: ` +
        `${times}; the ratio's 95 % interval is ${range(inverse(interval))}.`;
    case "slower":
      return `${arm} takes ${ratio(value)} times as long as ${baseline} to reach ${subscribers}: ` +
        `${times}; the ratio's 95 % interval is ${range(interval)}.`;
    case "no difference":
      return `No difference: ${arm} and ${baseline} reach ${subscribers} within ` +
        `${EQUAL_PERCENT} % of the same time: ${times}; the ratio's 95 % interval is ` +
        `${range(interval)}.`;
    default:
      return `Undecided: ${arm} took ${ratio(value)} times as long as ${baseline} to reach ` +
        `${subscribers} (${times}), but the 95 % interval is ${range(interval)}: these runs ` +
        `don't tell.`;
  }
}

function range({ low, high }: IntervalReport): string {
  return `${ratio(low)} to ${ratio(high)}`;
}

function inverse({ low, high }: IntervalReport): IntervalReport {
  return { low: 1 / high, high: 1 / low };
}
