/**
 * Formats numbers for people.
 *
 * @module
 */

import type { Metric } from "./metrics.ts";

/** A whole number with its thousands separated. */
export function number(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

/** A number with three significant digits, without an exponent. */
function significant(value: number): string {
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

/** A metric's value in its displayed unit, without the unit's name. */
export function inUnit(value: number, { scale }: Metric): string {
  return significant(value / scale);
}

/** A metric's value with its unit. */
export function unitValue(value: number, metric: Metric): string {
  return `${inUnit(value, metric)} ${metric.unit}`;
}

/** An amount and its noun, such as `1,000 bots`. */
export function count(amount: number, noun: string): string {
  return `${number(amount)} ${noun}${amount === 1 ? "" : "s"}`;
}
