import { median } from "../statistics.ts";

/** What a server held at one moment. */
export interface MemorySample {
  /** Seconds from the beginning of the load. */
  readonly at_s: number;
  /** All its processes together. */
  readonly resident_bytes: number;
  /** The process of it that serves clients since the beginning. */
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
  /** The process that serves clients since the beginning. */
  readonly oldest: Growth | null;
}

/** Runtimes keep what they once took, so the first minute is theirs to take it. */
export const WARM_UP_S = 60;

/** Shorter windows have too few samples, or not some of every attack. */
const MIN_WINDOW_S = 45;

/** More growth than this is a leak. */
export const MAX_GROWTH = 1.1;

/**
 * Compares medians over two windows of the load: the one after the first minute and the last one. A
 * collector makes single samples jump; a plateau stays.
 *
 * @param windowS As long as the load's own period, such as from one kill to the next.
 */
export function judgeMemory(
  samples: readonly MemorySample[],
  totalS: number,
  windowS: number,
): MemoryVerdict {
  const window = Math.min(windowS, (totalS - WARM_UP_S) / 2);
  const first = samples.filter(({ at_s }) => at_s >= WARM_UP_S && at_s < WARM_UP_S + window);
  const last = samples.filter(({ at_s }) => at_s >= totalS - window);
  if (window < MIN_WINDOW_S || first.length === 0 || last.length === 0) {
    return { judged: false, server: null, oldest: null };
  }
  const growth = (pick: (sample: MemorySample) => number): Growth => {
    const baseline = median(first.map(pick));
    const end = median(last.map(pick));
    return { baseline_bytes: baseline, end_bytes: end, ratio: end / baseline };
  };
  return {
    judged: true,
    server: growth((sample) => sample.resident_bytes),
    oldest: growth((sample) => sample.oldest_resident_bytes),
  };
}

/** Whether there is no growth, as far as it was judged. */
export function holdsMemory({ server, oldest }: MemoryVerdict): boolean {
  return [server, oldest].every((growth) => growth === null || growth.ratio <= MAX_GROWTH);
}
