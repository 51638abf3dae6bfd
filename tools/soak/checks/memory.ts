/** What a server held at one moment. */
export interface MemorySample {
  /** Seconds from the beginning of the load. */
  readonly at_s: number;
  /** All its processes together. */
  readonly resident_bytes: number;
  /** The process of it that serves clients since the beginning; 0 once that has been replaced. */
  readonly oldest_resident_bytes: number;
  readonly descriptors: number;
}

/** The value after the first minute of load, against the value at the end. */
export interface Growth {
  readonly baseline_bytes: number;
  readonly end_bytes: number;
  readonly ratio: number;
}

/** Whether memory has grown. */
export interface MemoryVerdict {
  /** False where the load was too short to tell growth from warming up. */
  readonly judged: boolean;
  /** All processes of the server together; `null` where it wasn't judged. */
  readonly server: Growth | null;
  /** The process that serves clients since the beginning; `null` also where none does. */
  readonly oldest: Growth | null;
}

/** Runtimes keep what they once took, so the first minute is theirs to take it. */
export const WARM_UP_S = 60;

/** Shorter windows have too few samples, or not some of every attack. */
const MIN_WINDOW_S = 45;

/** Windows of so much of the whole: attacks come and go, and their traces with them. */
const WINDOW_SHARE = 0.2;

/** More growth than this is a leak. */
export const MAX_GROWTH = 1.1;

/**
 * Compares means over two windows of the load: the one after the first minute and the last one. Not
 * medians: where workers are killed memory goes up and down between two levels, and a median jumps from
 * the one to the other.
 *
 * @param periodS The load's own period, such as from one kill to the next: a window has it whole.
 */
export function judgeMemory(
  samples: readonly MemorySample[],
  totalS: number,
  periodS: number,
): MemoryVerdict {
  const wanted = Math.ceil(Math.max(1, totalS * WINDOW_SHARE / periodS)) * periodS;
  const window = Math.min(wanted, (totalS - WARM_UP_S) / 2);
  const first = samples.filter(({ at_s }) => at_s >= WARM_UP_S && at_s < WARM_UP_S + window);
  const last = samples.filter(({ at_s }) => at_s >= totalS - window);
  if (window < MIN_WINDOW_S || first.length === 0 || last.length === 0) {
    return { judged: false, server: null, oldest: null };
  }
  const growth = (pick: (sample: MemorySample) => number): Growth => {
    const baseline = mean(first.map(pick));
    const end = mean(last.map(pick));
    return { baseline_bytes: baseline, end_bytes: end, ratio: end / baseline };
  };
  return {
    judged: true,
    server: growth((sample) => sample.resident_bytes),
    oldest: last.every((sample) => sample.oldest_resident_bytes > 0)
      ? growth((sample) => sample.oldest_resident_bytes)
      : null,
  };
}

/**
 * Whether the server hasn't grown, as far as it was judged. A single process's memory goes up and down by
 * more than a tenth: that's for whoever reads the report.
 */
export function holdsMemory({ server }: MemoryVerdict): boolean {
  return server === null || server.ratio <= MAX_GROWTH;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
