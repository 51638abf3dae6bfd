/**
 * The most of their time that a server's processes may wait for a processor. All of a soak on two processors keeps
 * them waiting for half of it; with four fifths they are five times as slow as alone, and no server keeps its
 * deadlines.
 */
export const MAX_WAITED_SHARE = 0.8;

/** Measures whether a machine had time for the server that was soaked, since it isn't to be judged otherwise. */
export class Fitness {
  #waitedMs = 0;
  #ranMs = 0;

  /** Adds the time that processes waited for a processor, and had one, in milliseconds. */
  add(waitedMs: number, ranMs: number): void {
    this.#waitedMs += waitedMs;
    this.#ranMs += ranMs;
  }

  /** The share of their time for which they waited; `null` if nothing is known of it. */
  get waitedShare(): number | null {
    const allMs = this.#waitedMs + this.#ranMs;
    return allMs === 0 ? null : this.#waitedMs / allMs;
  }
}

/** True unless a server's processes waited for most of the time. */
export function isFit(waitedShare: number | null): boolean {
  return waitedShare === null || waitedShare <= MAX_WAITED_SHARE;
}
