/** A server's memory and descriptors at one moment. */
export interface MemorySample {
  /** Seconds from the beginning of the load. */
  readonly at_s: number;
  /** Bytes of all its processes together. */
  readonly resident_bytes: number;
  /** Bytes of the process that serves clients since the beginning; 0 after it was replaced. */
  readonly oldest_resident_bytes: number;
  /** Bytes of all its processes together that they keep for other machines; 0 outside a cluster. */
  readonly log_bytes: number;
  readonly descriptors: number;
}

/** Memory after the warm-up, and memory at the end. */
export interface Growth {
  readonly baseline_bytes: number;
  readonly end_bytes: number;
  readonly ratio: number;
}

/** The verdict on a server's memory. */
export interface MemoryVerdict {
  /** False if the load was too short to tell growth from warming up. */
  readonly judged: boolean;
  /**
   * All processes of the server together, without what they keep for other machines, which has its own bound; `null`
   * if it wasn't judged.
   */
  readonly server: Growth | null;
  /** The process that serves clients since the beginning; `null` also if it was replaced. */
  readonly oldest: Growth | null;
}

/** Runtimes take memory step by step and keep it, so the first minute isn't judged. */
const WARM_UP_S = 60;

/**
 * The same for a member of a cluster, which also keeps what it has sent, up to its bound: the floods fill that when
 * they have come twice.
 */
export const CLUSTER_WARM_UP_S = 120;

/** Shorter windows have too few samples, or don't have every kind of attack. */
const MIN_WINDOW_S = 45;

/** The share of the whole time that a window takes. Attacks come and go, and their traces with them. */
const WINDOW_SHARE = 0.2;

/** The greatest ratio that passes. More growth is a leak. */
export const MAX_GROWTH = 1.1;

/**
 * Compares means over two windows of the load: the one after the warm-up and the last one. It
 * doesn't use medians: kills move memory between two levels, and a median jumps from one to the other.
 *
 * @param periodS The load's period in seconds, such as from one kill to the next. A window holds whole
 * periods.
 * @param warmUpS Seconds of the load that aren't judged.
 */
export function judgeMemory(
  samples: readonly MemorySample[],
  totalS: number,
  periodS: number,
  warmUpS = WARM_UP_S,
): MemoryVerdict {
  const wanted = Math.ceil(Math.max(1, totalS * WINDOW_SHARE / periodS)) * periodS;
  const window = Math.min(wanted, (totalS - warmUpS) / 2);
  const first = samples.filter(({ at_s }) => at_s >= warmUpS && at_s < warmUpS + window);
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
    server: growth((sample) => sample.resident_bytes - sample.log_bytes),
    // Its log isn't known apart.
    oldest: last.every((sample) => sample.oldest_resident_bytes > 0)
      ? growth((sample) => sample.oldest_resident_bytes)
      : null,
  };
}

/**
 * True if the server hasn't grown, or wasn't judged. A single process's memory varies by more than a
 * tenth, so it is only reported.
 */
export function holdsMemory({ server }: MemoryVerdict): boolean {
  return server === null || server.ratio <= MAX_GROWTH;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
