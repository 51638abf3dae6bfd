/** A histogram's counts. They only ever grow, so those of several processes can be added up. */
export interface HistogramCounts {
  /** Observations in each bucket; the last is that of all above the highest bound. */
  readonly buckets: number[];
  /** The sum of all observed values. */
  sum: number;
  count: number;
}

/** Counts observed values by size. An observation costs a look at each bound below it. */
export class Histogram {
  /** The highest value of each bucket but the last, ascending. */
  readonly bounds: readonly number[];
  readonly counts: HistogramCounts;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = { buckets: new Array(bounds.length + 1).fill(0), sum: 0, count: 0 };
  }

  observe(value: number): void {
    const { counts, bounds } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
    counts.buckets[bucket]!++;
    counts.sum += value;
    counts.count++;
  }
}
