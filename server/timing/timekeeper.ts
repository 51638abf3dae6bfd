import { TimestampIssuer } from "../../protocol/timestamp.ts";
import { EpochClock } from "./epoch_clock.ts";

/** Milliseconds by which timestamps may differ from the system's clock before an event says so. */
const TOLERANCE_MS = 1_000;

/** An event of the system's clock, or of the timestamps that should agree with it. */
export type ClockEvent =
  /** The clock was set forward by `byMs` milliseconds, and timestamps have followed. */
  | { readonly what: "set_forward"; readonly byMs: number }
  /**
   * The clock was set back: timestamps are ahead of it by `byMs` milliseconds. Until it has caught up, each
   * timestamp is a microsecond greater than the one before.
   */
  | { readonly what: "set_back"; readonly byMs: number }
  /** The clock has caught up with the timestamps. */
  | { readonly what: "caught_up" };

/**
 * Issues one process's timestamps, by the system's clock. When the clock is set forward, they follow. When
 * it is set back, they stand nearly still until it has caught up, since each is greater than the one before.
 */
export class Timekeeper {
  readonly timestamps: TimestampIssuer;
  readonly #clock: EpochClock;
  /** Milliseconds by which the last event said that timestamps are ahead of the clock; 0 without one. */
  #toldAheadMs = 0;

  constructor(clock: EpochClock = new EpochClock()) {
    this.#clock = clock;
    this.timestamps = new TimestampIssuer(() => clock.micros);
  }

  /** Microseconds since the Unix epoch, on the clock of the timestamps. */
  get micros(): number {
    return this.#clock.micros;
  }

  /**
   * Checks whether the system's clock has been set. To be called some times a second.
   *
   * @returns An event to report, if there is one.
   */
  follow(): ClockEvent | undefined {
    const { timestamps } = this;
    const { micros } = this.#clock;
    const byMs = this.#clock.follow();
    // Keeps processes that have issued few timestamps in step with those that have issued many.
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
