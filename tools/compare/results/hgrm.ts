/**
 * Latencies for the plotter of HdrHistogram.
 *
 * @module
 */

import { build } from "hdr-histogram-js";

/** HdrHistogram counts whole numbers; a microsecond is below what a network is measured in. */
const PER_MS = 1000;

/** Lines for each halving of what is left above, as HdrHistogram's own tools have it. */
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
