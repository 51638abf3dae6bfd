import type { Runtime } from "../../runtime/types.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import { Gate } from "./gate.ts";
import { type Limits } from "../limits.ts";
import { PUBLISH_BURST_SECONDS } from "../limits/clients.ts";
import { type Rate, TokenBucket } from "../timing/token_bucket.ts";

/** Bounds the rate at which each connection publishes. All connections share one object. */
export class PublishThrottle {
  /** The gate of connections that have published too fast. */
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
    this.gate = new Gate(runtime, "rate");
    this.#messageRate = publishRate === undefined ? undefined : rateOf(publishRate);
    this.#byteRate = rateOf(publishBytesRate);
    this.#clock = clock;
  }

  /** A full bucket of messages for one connection; `undefined` if the rate is unlimited. */
  newMessageBucket(): TokenBucket | undefined {
    return this.#messageRate && new TokenBucket(this.#messageRate, this.#clock.nowMs);
  }

  /** A full bucket of bytes for one connection. */
  newByteBucket(): TokenBucket {
    return new TokenBucket(this.#byteRate, this.#clock.nowMs);
  }

  /** True if a connection must wait before more is read from it. */
  isOver(bucket: TokenBucket | undefined): boolean {
    return bucket !== undefined && !this.#isLifted && !bucket.hasToken(this.#clock.nowMs);
  }

  /** Lifts the limits, since the server stops and must read everything that has arrived. */
  lift(): void {
    this.#isLifted = true;
    this.gate.open();
  }

  /** Undoes {@linkcode lift}. */
  restore(): void {
    this.#isLifted = false;
  }
}

function rateOf(perSecond: number): Rate {
  return { perSecond, burst: perSecond * PUBLISH_BURST_SECONDS };
}
