import type { Runtime } from "../../runtime/types.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import { Gate } from "./gate.ts";
import { type Limits, PUBLISH_BURST_SECONDS } from "../limits.ts";
import { type Rate, TokenBucket } from "../timing/token_bucket.ts";

/** Bounds how fast each connection publishes. One object for all of them. */
export class PublishThrottle {
  /** Where those wait who have published too fast. */
  readonly gate: Gate;
  readonly #messageRate: Rate | undefined;
  readonly #byteRate: Rate;
  readonly #clock: CoarseClock;
  #isLifted = false;

  constructor(
    runtime: Runtime,
    { publishRate, publishBytesRate }: Pick<Limits, "publishRate" | "publishBytesRate">,
    clock: CoarseClock,
  ) {
    this.gate = new Gate(runtime);
    this.#messageRate = publishRate === undefined ? undefined : rateOf(publishRate);
    this.#byteRate = rateOf(publishBytesRate);
    this.#clock = clock;
  }

  /** A full bucket of messages for one connection; nothing where any number is allowed. */
  newMessageBucket(): TokenBucket | undefined {
    return this.#messageRate && new TokenBucket(this.#messageRate, this.#clock.nowMs);
  }

  /** A full bucket of bytes for one connection. */
  newByteBucket(): TokenBucket {
    return new TokenBucket(this.#byteRate, this.#clock.nowMs);
  }

  /** Whether a connection must wait before more is read from it. */
  isOver(bucket: TokenBucket | undefined): boolean {
    return bucket !== undefined && !this.#isLifted && !bucket.hasToken(this.#clock.nowMs);
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

function rateOf(perSecond: number): Rate {
  return { perSecond, burst: perSecond * PUBLISH_BURST_SECONDS };
}
