import { STALL_MS, SWEEP_INTERVAL_MS } from "../limits/clients.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";

/**
 * For how long another process has given no sign of life, although it has something to do that would
 * bring one. Only time counts in which this process looked: where it stood still itself, the other
 * one's signs wait to be read.
 */
export class Silence {
  readonly #clock: CoarseClock;
  #ms = 0;
  #lookedMs: number;
  /** True if the next look counts the time since the last one. */
  #isCounting = false;
  #isLong = false;

  constructor(clock: CoarseClock) {
    this.#clock = clock;
    this.#lookedMs = clock.nowMs;
  }

  /** True if it has lasted for a second. Then only a sign of life ends it. */
  get isLong(): boolean {
    return this.#isLong;
  }

  /** The least time that it has lasted, in milliseconds. */
  get ms(): number {
    return this.#ms;
  }

  /** The other process has given a sign of life. */
  end(): void {
    this.#ms = 0;
    this.#isCounting = this.#isLong = false;
  }

  /**
   * Looks whether it goes on. To be called once a sweep.
   *
   * @param isExpected Whether the other process has something to do.
   */
  look(isExpected: boolean): void {
    const { nowMs } = this.#clock;
    if (this.#isCounting) this.#ms += Math.min(nowMs - this.#lookedMs, SWEEP_INTERVAL_MS);
    this.#lookedMs = nowMs;
    this.#isCounting = isExpected || this.#isLong;
    if (!this.#isCounting) this.#ms = 0;
    if (this.#ms >= STALL_MS) this.#isLong = true;
  }
}
