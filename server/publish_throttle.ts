import type { Runtime } from "../runtime/types.ts";
import type { CoarseClock } from "./coarse_clock.ts";
import { Gate } from "./gate.ts";
import { PUBLISH_BURST_SECONDS } from "./limits.ts";
import { type Rate, TokenBucket } from "./token_bucket.ts";

/** The shortest publish there is: `PUBLISH`, NUL, `{"topic":"a"}`, NUL. */
const MIN_PUBLISH_BYTES = 22;

/** What is read at once although it may hold more publishes than there are tokens. */
const MIN_PIECE_BYTES = 4096;

/** Bounds how fast each connection publishes. One object for all of them. */
export class PublishThrottle {
  /** Where those wait who have published too fast. */
  readonly gate: Gate;
  readonly #rate: Rate;
  readonly #clock: CoarseClock;
  #isLifted = false;

  /** @param publishRate Messages a second. */
  constructor(runtime: Runtime, publishRate: number, clock: CoarseClock) {
    this.gate = new Gate(runtime);
    this.#rate = { perSecond: publishRate, burst: publishRate * PUBLISH_BURST_SECONDS };
    this.#clock = clock;
  }

  /** A full bucket for one connection. */
  newBucket(): TokenBucket {
    return new TokenBucket(this.#rate, this.#clock.nowMs);
  }

  /** Whether a connection must wait before more is read from it. */
  isOver(bucket: TokenBucket | undefined): boolean {
    return bucket !== undefined && !this.#isLifted && !bucket.hasToken(this.#clock.nowMs);
  }

  /**
   * How many bytes may be read from a connection before {@linkcode isOver} is asked again, so that
   * one large chunk of small messages doesn't run up a debt of minutes.
   *
   * @param bucket Absent while it has published nothing.
   */
  bytesWithin(bucket: TokenBucket | undefined): number {
    if (this.#isLifted) return Infinity;
    const tokens = bucket?.tokens(this.#clock.nowMs) ?? this.#rate.burst;
    return Math.max(MIN_PIECE_BYTES, Math.floor(tokens) * MIN_PUBLISH_BYTES);
  }

  /** The server is about to stop: what has arrived is to be read now. */
  lift(): void {
    this.#isLifted = true;
    this.gate.open();
  }

  /** What had arrived is read: undoes {@linkcode lift}. */
  restore(): void {
    this.#isLifted = false;
  }
}
