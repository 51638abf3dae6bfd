/**
 * The time of day with the resolution of a monotonic clock. It follows the system's clock only when
 * {@linkcode EpochClock.follow} compares the two, so that reading it costs no more than reading the
 * monotonic clock.
 */
export class EpochClock {
  readonly #readMs: () => number;
  readonly #readSystemMs: () => number;
  /** Milliseconds by which the time of day is ahead of the monotonic clock. */
  #offsetMs: number;

  /**
   * @param readMs A monotonic clock, in milliseconds.
   * @param readSystemMs The system's clock: whole milliseconds since the Unix epoch.
   * @param offsetMs Milliseconds by which the system's clock is ahead of the monotonic one, more exactly
   * than reading them shows.
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
   * Compares with the system's clock, and agrees with it from now on.
   *
   * @returns Milliseconds by which the system's clock was set since the last call: less than 0 if it was
   * set back, 0 if it wasn't set.
   */
  follow(): number {
    const beforeMs = this.#readMs();
    const systemMs = this.#readSystemMs();
    const afterMs = this.#readMs();
    // The system's clock is up to a millisecond further than it says, and was read at some moment between
    // the two readings. The old offset is kept if it agrees with that.
    const leastMs = systemMs - afterMs;
    const mostMs = systemMs + 1 - beforeMs;
    const before = this.#offsetMs;
    this.#offsetMs = Math.min(Math.max(before, leastMs), mostMs);
    return this.#offsetMs - before;
  }
}
