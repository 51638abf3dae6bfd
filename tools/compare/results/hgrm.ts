/**
 * Writes latencies for HdrHistogram's plotter.
 *
 * @module
 */

import { build } from "hdr-histogram-js";

/**
 * Microseconds in a millisecond. HdrHistogram counts whole numbers, and a microsecond is finer than any
 * network's latency.
 */
const PER_MS = 1000;

/** Lines for each halving of the rest above, as in HdrHistogram's own tools. */
const TICKS = 5;

/**
 * The percentiles of latencies, as `outputPercentileDistribution` writes them, in milliseconds, to three
 * significant digits.
 *
 * @param latenciesMs Not empty.
 */
export function hgrmText(latenciesMs: Float64Array): string {
  const histogram = build({ numberOfSignificantValueDigits: 3, autoResize: true });
  for (const ms of latenciesMs) histogram.recordValue(Math.max(Math.round(ms * PER_MS), 1));
  return histogram.outputPercentileDistribution(TICKS, PER_MS);
}
