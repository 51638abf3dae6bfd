/**
 * Order statistics over raw samples: nothing is binned, rounded or estimated.
 *
 * @module
 */

/** The quantiles of a set of samples, in the samples' unit. */
export interface Quantiles {
  readonly min: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p99_9: number;
  readonly max: number;
}

/**
 * Quantiles by nearest rank: the p-th percentile is the smallest sample that at least p percent of
 * all samples don't exceed, so each is a value that was really measured.
 *
 * @param samples In any order; not changed.
 * @returns `null` without samples.
 */
export function quantiles(samples: Float64Array): Quantiles | null {
  if (samples.length === 0) return null;
  const sorted = samples.toSorted();
  return {
    min: sorted[0]!,
    p50: nearestRank(sorted, 50),
    p90: nearestRank(sorted, 90),
    p99: nearestRank(sorted, 99),
    p99_9: nearestRank(sorted, 99.9),
    max: sorted[sorted.length - 1]!,
  };
}

/**
 * The `percent`-th percentile by nearest rank.
 *
 * @param sorted Ascending, and not empty.
 * @param percent Above 0, at most 100.
 */
export function nearestRank(sorted: Float64Array, percent: number): number {
  // 99.9 / 100 * 1000 is 999.0000000000001 in binary: a rank is whole to within far more than that.
  const rank = Math.ceil(Number((sorted.length * percent / 100).toFixed(6)));
  return sorted[Math.max(rank, 1) - 1]!;
}

/**
 * The middle value, or the mean of the two middle values.
 *
 * @throws {RangeError} without values.
 */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("No median without values");
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The median of each quantile, over several sets of samples; `null` without any set. */
export function medianQuantiles(sets: readonly Quantiles[]): Quantiles | null {
  if (sets.length === 0) return null;
  const of = (pick: (set: Quantiles) => number) => median(sets.map(pick));
  return {
    min: of((set) => set.min),
    p50: of((set) => set.p50),
    p90: of((set) => set.p90),
    p99: of((set) => set.p99),
    p99_9: of((set) => set.p99_9),
    max: of((set) => set.max),
  };
}

/** One row of a histogram. */
export interface Bin {
  /** The upper end, which belongs to the bin; the lower end is the bin before. */
  readonly upTo: number;
  readonly count: number;
}

/**
 * Counts samples in bins of equal width, from zero up to the bin that holds the maximum. Samples
 * below zero count in the first.
 *
 * @returns no bins without samples.
 */
export function histogram(samples: Float64Array, width: number): Bin[] {
  const counts: number[] = [];
  for (const sample of samples) {
    const at = Math.max(Math.ceil(sample / width), 1) - 1;
    while (counts.length <= at) counts.push(0);
    counts[at]!++;
  }
  return counts.map((count, at) => ({ upTo: (at + 1) * width, count }));
}
