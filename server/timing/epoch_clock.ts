/**
 * The time of day with the resolution of a monotonic clock. It follows the system's clock only when
 * {@linkcode EpochClock.follow} compares the two, so that reading it costs no more than reading the
 * monotonic clock.
 */
export class EpochClock {
  readonly #readMs: () => number;
  readonly #readSystemMs: () => number;
  /** What the time of day is ahead of the monotonic clock, in milliseconds. */
  #offsetMs: number;

  /**
   * @param readMs A monotonic clock, in milliseconds.
   * @param readSystemMs The system's clock: whole milliseconds since the Unix epoch.
   * @param offsetMs What the second is ahead of the first, more exactly than their reading tells.
   */
  constructor(
    readMs: () => number = () => performance.now(),
    readSystemMs: () => number = Date.now,
    offsetMs: number = performance.timeOrigin,
  ) {
    this.#readMs = readMs;
    this.#readSystemMs = readSystemMs;
    this.#offsetMs = offsetMs;
    this.follow();
  }

  /** Microseconds since the Unix epoch. */
  get micros(): number {
    return (this.#offsetMs + this.#readMs()) * 1000;
  }

  /**
   * Agrees with the system's clock from now on.
   *
   * @returns By how many milliseconds that has been set since it was last followed: less than 0 where it
   * was set back, and 0 where it goes on as it did.
   */
  follow(): number {
    const beforeMs = this.#readMs();
    const systemMs = this.#readSystemMs();
    const afterMs = this.#readMs();
    // Each reading leaves a little open: the system's clock is up to a millisecond further than it says,
    // and was read at some moment between the two. What contradicts no reading is kept.
    const leastMs = systemMs - afterMs;
    const mostMs = systemMs + 1 - beforeMs;
    const before = this.#offsetMs;
    this.#offsetMs = Math.min(Math.max(before, leastMs), mostMs);
    return this.#offsetMs - before;
  }
}
