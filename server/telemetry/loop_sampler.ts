import { Histogram } from "./histogram.ts";
import { LOOP_DELAY_SECONDS, LOOP_SAMPLE_MS } from "./limits.ts";

/**
 * Measures how late the event loop is, by a timer. The runtimes' own `monitorEventLoopDelay` reports next to
 * nothing after the loop has stood still.
 */
export class LoopSampler {
  readonly seconds = new Histogram(LOOP_DELAY_SECONDS);
  #timer: ReturnType<typeof setInterval> | undefined;
  #sampledMs = performance.now();
  #lastDelayMs = 0;

  start(): void {
    this.#sampledMs = performance.now();
    this.#timer = setInterval(() => this.#sample(), LOOP_SAMPLE_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Milliseconds since the loop last turned, as far as the timer shows. */
  get sinceTurnMs(): number {
    return performance.now() - this.#sampledMs;
  }

  /** Milliseconds by which the last sample was late. */
  get lastDelayMs(): number {
    return this.#lastDelayMs;
  }

  #sample(): void {
    const nowMs = performance.now();
    this.#lastDelayMs = Math.max(0, nowMs - this.#sampledMs - LOOP_SAMPLE_MS);
    this.seconds.observe(this.#lastDelayMs / 1000);
    this.#sampledMs = nowMs;
  }
}
