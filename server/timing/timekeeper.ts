import { TimestampIssuer } from "../../protocol/timestamp.ts";
import { EpochClock } from "./epoch_clock.ts";

/** Timestamps may be off by so much from the system's clock before anybody is told. */
const TOLERANCE_MS = 1_000;

/** What has become of the system's clock, or of the timestamps that should agree with it. */
export type ClockEvent =
  /** The clock was set forward by so many milliseconds, and timestamps have followed. */
  | { readonly what: "set_forward"; readonly byMs: number }
  /**
   * The clock was set back: timestamps are ahead of it by so many milliseconds. Each is a microsecond
   * greater than the one before until it has caught up.
   */
  | { readonly what: "set_back"; readonly byMs: number }
  /** It has caught up. */
  | { readonly what: "caught_up" };

/**
 * Issues one process's timestamps, by the system's clock. When that is set forward they follow; when it's
 * set back they stand nearly still until it has caught up, since each is greater than the one before.
 */
export class Timekeeper {
  readonly timestamps: TimestampIssuer;
  readonly #clock: EpochClock;
  /** By how much timestamps are known to be ahead of the clock; 0 while nobody need know. */
  #toldAheadMs = 0;

  constructor(clock: EpochClock = new EpochClock()) {
    this.#clock = clock;
    this.timestamps = new TimestampIssuer(() => clock.micros);
  }

  /**
   * Looks whether the system's clock has been set. To be called some times a second.
   *
   * @returns What is worth telling.
   */
  follow(): ClockEvent | undefined {
    const { timestamps } = this;
    const { micros } = this.#clock;
    const byMs = this.#clock.follow();
    // Processes that have issued few timestamps stand where those stand that have issued many.
    if (byMs < 0) timestamps.raise(Math.floor(micros));
    const aheadMs = timestamps.last / 1000 - this.#clock.micros / 1000;
    if (aheadMs > this.#toldAheadMs + TOLERANCE_MS) {
      this.#toldAheadMs = aheadMs;
      return { what: "set_back", byMs: aheadMs };
    }
    if (this.#toldAheadMs > 0) {
      this.#toldAheadMs = Math.max(0, Math.min(this.#toldAheadMs, aheadMs));
      return this.#toldAheadMs > 0 ? undefined : { what: "caught_up" };
    }
    return byMs > TOLERANCE_MS ? { what: "set_forward", byMs } : undefined;
  }
}
