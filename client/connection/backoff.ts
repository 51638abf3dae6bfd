import { MAX_TIMER_MS } from "../api/options.ts";

/** After a connection that was open for so many milliseconds, the next failure counts as the first. */
const LONG_OPEN_MS = 20_000;

/** The bounds of the waits between attempts to connect, in milliseconds. */
export interface BackoffBounds {
  /** The most that the first wait takes. */
  readonly minMs: number;
  /** The most that any wait takes. */
  readonly maxMs: number;
}

/**
 * The wait before the next attempt: a random part of a time that doubles with each failure, so
 * that clients whose connections broke together don't come back together.
 */
export class Backoff {
  readonly #bounds: BackoffBounds;
  readonly #random: () => number;
  #waits = 0;

  /** @param random At least 0 and less than 1, each time anew. */
  constructor(bounds: BackoffBounds, random: () => number = Math.random) {
    this.#bounds = bounds;
    this.#random = random;
  }

  /**
   * Milliseconds to wait.
   *
   * @param openMs For how long the connection was open; 0 if it never was.
   * @param retryAfterMs What the server asked for.
   */
  waitMs(openMs: number, retryAfterMs: number | undefined): number {
    const wasLongOpen = openMs >= LONG_OPEN_MS;
    if (wasLongOpen) this.#waits = 0;
    const { minMs, maxMs } = this.#bounds;
    const mostMs = Math.min(maxMs, minMs * 2 ** Math.min(this.#waits, 30));
    if (retryAfterMs !== undefined) return Math.min(retryAfterMs, MAX_TIMER_MS);
    if (wasLongOpen) return 0;
    this.#waits++;
    return this.#random() * mostMs;
  }
}
