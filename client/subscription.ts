/**
 * One reader of a topic.
 *
 * @module
 */

import { MAX_LAST_MESSAGES, type Position, type ResumeRequest } from "../protocol/resume.ts";
import { topicProblem } from "../protocol/topic.ts";
import { Deliveries, type DeliveriesOwner } from "./api/deliveries.ts";
import { ClosedError } from "./api/errors.ts";
import { readSignal } from "./api/options.ts";
import type { SubscribedStatus } from "./api/statuses.ts";

/** A message as it was published: its topic, its data, and whatever else its publisher put there. */
export interface Message {
  /** The topic. */
  readonly topic: string;
  /** The data, if its publisher gave any. */
  // deno-lint-ignore no-explicit-any -- the reader knows what its publishers send
  readonly data?: any;
  /** Whatever else its publisher put there. */
  readonly [member: string]: unknown;
}

/** A message that has arrived. */
export interface Delivered {
  /** The message, without its timestamp. */
  readonly message: Message;
  /** When the server accepted it: whole microseconds since the Unix epoch. Unique in its process. */
  readonly timestamp: number;
  /**
   * The message as it came, its timestamp `[megaseconds, seconds, microseconds]` first: JSON text, in which
   * everything else is spelled as its publisher spelled it.
   */
  readonly json: string;
}

/** The options of a subscription. */
export interface SubscribeOptions {
  /** Begin with so many stored messages, 1 to 1,000, the oldest first; with none by default. */
  readonly last?: number | undefined;
  /**
   * `throw` ends the iterator with a `GapError` where messages may be missing. By default it goes on, and
   * the status alone says so.
   */
  readonly onGap?: "throw" | "continue" | undefined;
  /** Ends the iterator with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The messages of a topic, as an iterator. */
export interface Messages extends AsyncIterableIterator<Delivered> {
  /**
   * Resolves when the server has subscribed the client: whatever it accepts from then on is delivered.
   * Rejects if the iterator ends before.
   */
  readonly ready: Promise<SubscribedStatus>;
}

/**
 * Checks what somebody subscribes to, and fills in the defaults. `null` is none.
 *
 * @throws {RangeError} if the topic or an option isn't valid.
 */
export function readSubscribe(topic: string, options: SubscribeOptions): {
  readonly request: ResumeRequest;
  readonly throwsOnGap: boolean;
  readonly signal: AbortSignal | undefined;
} {
  const { last, onGap, signal } = options ?? {};
  const problem = typeof topic === "string" ? topicProblem(topic) : "is not a string";
  if (problem !== undefined) throw new RangeError(`The topic ${problem}`);
  const count = last ?? undefined;
  if (
    count !== undefined && !(Number.isInteger(count) && count >= 1 && count <= MAX_LAST_MESSAGES)
  ) {
    throw new RangeError(
      `last must be a whole number from 1 to ${MAX_LAST_MESSAGES}, not ${last}`,
    );
  }
  if (!["throw", "continue"].includes(onGap ?? "continue")) {
    throw new RangeError(`onGap must be "throw" or "continue", not ${JSON.stringify(onGap)}`);
  }
  return {
    request: count === undefined ? { from: "new" } : { from: "last", count },
    throwsOnGap: onGap === "throw",
    signal: readSignal(signal),
  };
}

/** The owner of a subscription, which is told when it ends. */
export interface SubscriptionOwner extends DeliveriesOwner {
  /** Called when it takes no more messages. */
  onOver(): void;
}

/** The messages of a topic on their way to one iterator's reader. */
export class Subscription extends Deliveries<Delivered> implements Messages {
  readonly topicName: string;
  readonly request: ResumeRequest;
  readonly throwsOnGap: boolean;
  readonly ready: Promise<SubscribedStatus>;
  #onReady!: (status: SubscribedStatus) => void;
  #onNever!: (error: unknown) => void;
  readonly #onOver: () => void;
  /** The last delivered timestamp of each origin; `undefined` before the first answer. */
  #position: Map<string, number> | undefined;
  /** True while the server has acknowledged the subscription on this connection. */
  #isLive = false;

  constructor(
    topic: string,
    request: ResumeRequest,
    throwsOnGap: boolean,
    owner: SubscriptionOwner,
  ) {
    super(owner);
    this.#onOver = () => owner.onOver();
    this.topicName = topic;
    this.request = request;
    this.throwsOnGap = throwsOnGap;
    this.ready = new Promise((resolve, reject) => {
      this.#onReady = resolve;
      this.#onNever = reject;
    });
    // It belongs to those who wait for it.
    this.ready.catch(() => {});
  }

  /** True if the server has said once where it begins. */
  get hasBegun(): boolean {
    return this.#position !== undefined;
  }

  /** True if the server has acknowledged it on this connection. */
  get isLive(): boolean {
    return this.#isLive;
  }

  get position(): Position {
    return this.#position ?? new Map();
  }

  /** Begins behind a position. */
  begin(position: Position): void {
    this.#position = new Map(position);
    this.#isLive = true;
  }

  /** Goes on from where it was, on a server that knows these origins. */
  goOn(position: Position): void {
    const own = this.#position;
    this.#position = new Map(
      [...position].map(([origin, micros]) => [origin, Math.max(micros, own?.get(origin) ?? 0)]),
    );
    this.#isLive = true;
  }

  /** Takes no message until the next acknowledgement. */
  pauseUntilAcknowledged(): void {
    this.#isLive = false;
  }

  onReady(status: SubscribedStatus): void {
    this.#onReady(status);
  }

  /** Delivers a message that it hasn't had. */
  deliver(delivered: Delivered, origin: string | undefined): void {
    if (!this.#isLive) return;
    if (origin !== undefined) {
      const position = this.#position!;
      const had = position.get(origin);
      if (had !== undefined && delivered.timestamp <= had) return;
      position.set(origin, delivered.timestamp);
    }
    this.push(delivered, delivered.json.length);
  }

  override end(): void {
    this.#settle(this.#ended());
    super.end();
  }

  override fail(error: unknown): void {
    this.#settle(error);
    super.fail(error);
  }

  override return(): Promise<IteratorResult<Delivered>> {
    this.#settle(this.#ended());
    return super.return();
  }

  #settle(error: unknown): void {
    this.#onNever(error);
    this.#onOver();
  }

  #ended(): Error {
    return new ClosedError(`The subscription to ${JSON.stringify(this.topicName)} has ended`);
  }
}
