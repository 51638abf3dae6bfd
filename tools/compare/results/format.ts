/**
 * Numbers as people are shown them.
 *
 * @module
 */

import type { Metric } from "./metrics.ts";

/** A whole number, its thousands apart. */
export function number(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

/** Three digits that mean something, no more, and no exponent. */
export function significant(value: number): string {
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en-US", {
    minimumFractionDigits: Math.min(digits, 3),
    maximumFractionDigits: Math.min(digits, 3),
  });
}

/** A ratio, to a hundredth. */
export function ratio(value: number): string {
  return value.toFixed(2);
}

/** A metric's value in the unit that people are shown, without it. */
export function inUnit(value: number, { scale }: Metric): string {
  return significant(value / scale);
}

/** The same with its unit. */
export function unitValue(value: number, metric: Metric): string {
  return `${inUnit(value, metric)} ${metric.unit}`;
}

/** So many of something. */
export function count(amount: number, noun: string): string {
  return `${number(amount)} ${noun}${amount === 1 ? "" : "s"}`;
}
