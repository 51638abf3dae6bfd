import type { Connection } from "../runtime/types.ts";
import { encodeReceipt } from "../protocol/encoder.ts";
import type { Gate, Waiter, WaitingPlace } from "./gate.ts";
import { ReceiptQueue } from "./receipt_queue.ts";
import type { Receipt } from "./receipts.ts";
import type { SessionContext } from "./session_context.ts";
import { type Rate, TokenBucket } from "./token_bucket.ts";
import type { Topic } from "./topic.ts";

/**
 * Subscribes, unsubscribes and keys a second from one connection, and as many at once: each may cost
 * ten times what a message does, a write for its `ACK` above all. A client that wants all the topics
 * that it may have needs 128.
 */
const REQUEST_RATE: Rate = { perSecond: 1_000, burst: 1_000 };

/** What is read at once of a client that asks for much. */
const REQUEST_PIECE_BYTES = 4_096;

/** What a publisher needs of the session whose client it is. */
export interface PublishingSession {
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Whether the client is still listened to. */
  readonly isOpen: boolean;
  /** Does what the client says in a chunk; nothing once it isn't listened to any more. */
  read(chunk: Uint8Array): void;
  /** Tries again what had to wait; whether that is settled now. */
  retry(attempt: () => boolean): boolean;
  /** Sends the client a frame. */
  send(frame: Uint8Array): void;
  /** More waits to be read than before, or less. */
  onDeferred(): void;
  /** The client is about to be read again, after a pause of the server's making. */
  onWaited(): void;
}

/**
 * A client that publishes, or asks for much: what it may still publish, what makes it wait with reading paused, and
 * the receipts that it's owed. Made with its first message, so that who only listens costs nothing.
 */
export class Publisher implements Waiter {
  readonly #session: PublishingSession;
  readonly #connection: Connection;
  readonly #context: SessionContext;
  /** What it may still publish just now. */
  readonly #bucket: TokenBucket;
  /** What it may still ask for, where it has asked for much. */
  #requests: TokenBucket | undefined;
  #publishedMs: number;
  #hasBeenThrottled = false;
  /** The topic it published to last that has subscribers, which may make it wait. */
  #topic: Topic | undefined;
  /** The gate at which it waits, with reading paused. */
  #waitsAt: WaitingPlace | undefined;
  /** What the client asked for and waits for; it's read no further until that is settled. */
  #attempt: (() => boolean) | undefined;
  #isReadingRest = false;
  /** Bytes that arrived although it waits; handled when it goes on. */
  #deferred: Uint8Array[] | undefined;
  #deferredBytes = 0;
  #receipts: ReceiptQueue | undefined;

  constructor(session: PublishingSession, connection: Connection, context: SessionContext) {
    this.#session = session;
    this.#connection = connection;
    this.#context = context;
    this.#bucket = context.throttle.newBucket();
    this.#publishedMs = context.clock.nowMs;
  }

  /** When it last published, or was last made to wait, on the coarse clock. */
  get publishedMs(): number {
    return this.#publishedMs;
  }

  /** Whether it isn't read from just now. */
  get isWaiting(): boolean {
    return this.#waitsAt !== undefined;
  }

  /** Bytes that arrived and wait to be read. */
  get deferredBytes(): number {
    return this.#deferredBytes;
  }

  /** Accepts a message, which is copied. */
  publish(name: string, message: Uint8Array): void {
    const { topics, backplane } = this.#context;
    const micros = this.#accept();
    backplane?.forward(name, micros, message);
    this.#follow(topics.publish(name, micros, message, undefined));
  }

  /** The same, and sends the client a receipt once it's known what became of the message. */
  publishForReceipt(name: string, message: Uint8Array): void {
    const { topics, backplane, budget } = this.#context;
    const micros = this.#accept();
    this.#receipts ??= new ReceiptQueue(
      budget,
      (micros, receipt) => this.#giveReceipt(micros, receipt),
    );
    const take = this.#receipts.owe(micros, backplane === undefined ? 1 : 2);
    backplane?.forwardForReceipt(name, micros, message, take);
    this.#follow(topics.publish(name, micros, message, take));
  }

  /** Counts a request, of a client that has made many. */
  countRequest(): void {
    const { nowMs } = this.#context.clock;
    (this.#requests ??= new TokenBucket(REQUEST_RATE, nowMs)).take(nowMs);
  }

  /** Reads what arrived, no faster than the client may publish; what it may not yet is deferred. */
  take(chunk: Uint8Array): void {
    if (this.waitIfHeld()) return this.defer(chunk.slice());
    this.#readWithinRate(chunk);
    this.waitIfHeld();
  }

  /**
   * Stops reading where the client's topic, or the server as a whole, can't take more just now.
   *
   * @returns Whether it waits.
   */
  waitIfHeld(): boolean {
    if (this.#waitsAt !== undefined) return true;
    if (!this.#session.isOpen) return false;
    const { budget, budgetGate, backplane, throttle } = this.#context;
    const gate = budget.isTight ? budgetGate : this.#topic?.gate ?? backplane?.gate ??
      (this.#isTooFast ? throttle.gate : undefined);
    if (gate === undefined) return false;
    this.#waitAt(gate);
    return true;
  }

  /**
   * Reads no further until what the client asked for is settled.
   *
   * @param attempt Tries it once more, and says whether it's settled.
   * @returns False where it won't wait, because the client is gone.
   */
  waitFor(attempt: () => boolean, place: WaitingPlace): boolean {
    if (this.#isReadingRest) return false;
    this.#connection.pauseReading();
    this.#attempt = attempt;
    this.#waitsAt = place;
    place.wait(this);
    return true;
  }

  /** Keeps bytes that are to be read when it goes on. */
  defer(chunk: Uint8Array): void {
    this.#deferred ??= [];
    this.#deferred.push(chunk);
    this.#deferredBytes += chunk.byteLength;
    this.#session.onDeferred();
  }

  /** The gate has opened. */
  resume(): void {
    if (this.#waitsAt === undefined) return;
    if (this.#attempt !== undefined && !this.#session.retry(this.#attempt)) {
      this.#waitsAt?.wait(this);
      return;
    }
    this.#attempt = undefined;
    if (this.#waitsAt === undefined) return;
    const { clock, throttle } = this.#context;
    if (this.#waitsAt === throttle.gate && this.#isTooFast) {
      throttle.gate.wait(this);
      return;
    }
    this.#waitsAt = undefined;
    this.#publishedMs = clock.nowMs;
    this.#session.onWaited();
    for (const chunk of this.#takeDeferred()) {
      if (this.#waitsAt === undefined) this.#readWithinRate(chunk);
      else this.defer(chunk);
    }
    if (!this.waitIfHeld()) this.#connection.resumeReading();
  }

  /** Reads all that waits to be read, whatever would make it wait. */
  readDeferred(): void {
    this.#isReadingRest = true;
    for (const chunk of this.#takeDeferred()) this.#session.read(chunk);
  }

  /** Waits no more; what waits to be read is dropped. */
  leave(): void {
    this.#waitsAt?.leave(this);
    this.#waitsAt = undefined;
    this.#takeDeferred();
  }

  get #isTooFast(): boolean {
    const { throttle } = this.#context;
    return throttle.isOver(this.#bucket) || throttle.isOver(this.#requests);
  }

  /** @returns The timestamp that a message is accepted with. */
  #accept(): number {
    const { timestamps, counters, clock } = this.#context;
    this.#bucket.take(clock.nowMs);
    this.#publishedMs = clock.nowMs;
    counters.messagesIn++;
    return timestamps.next();
  }

  #follow(topic: Topic | undefined): void {
    if (topic !== undefined && this.#topic?.gate === undefined) this.#topic = topic;
  }

  #giveReceipt(micros: number, receipt: Receipt): void {
    if (!this.#session.isOpen) return;
    this.#context.counters.receipts++;
    this.#session.send(encodeReceipt(micros, receipt));
  }

  /** Reads as much of a chunk as may be published now, and defers the rest. */
  #readWithinRate(chunk: Uint8Array): void {
    const { throttle } = this.#context;
    let rest = chunk;
    for (;;) {
      const piece = this.#requests === undefined ? Infinity : REQUEST_PIECE_BYTES;
      const bytes = Math.min(piece, throttle.bytesWithin(this.#bucket));
      if (rest.byteLength <= bytes) return this.#session.read(rest);
      this.#session.read(rest.subarray(0, bytes));
      if (!this.#session.isOpen) return;
      rest = rest.subarray(bytes);
      if (this.#waitsAt === undefined) {
        if (!this.#isTooFast) continue;
        this.#waitAt(throttle.gate);
      }
      return this.defer(rest.slice());
    }
  }

  #takeDeferred(): readonly Uint8Array[] {
    const deferred = this.#deferred;
    if (deferred === undefined) return [];
    this.#deferred = undefined;
    this.#deferredBytes = 0;
    this.#session.onDeferred();
    return deferred;
  }

  #waitAt(gate: Gate): void {
    const { counters, throttle } = this.#context;
    this.#connection.pauseReading();
    this.#waitsAt = gate;
    counters.publisherPauses++;
    gate.wait(this);
    if (gate !== throttle.gate) return;
    counters.ratePauses++;
    if (this.#hasBeenThrottled) return;
    this.#hasBeenThrottled = true;
    this.#context.onThrottled(this.#session.remoteAddress, this.#session.remotePort);
  }
}
