import { MAX_COLLECTED_BYTES, maxOwedFor, RECEIPT_DEADLINE_MS, STALL_MS } from "../limits.ts";
import { AnswerDecoder, type LinkAnswers } from "./link_answers.ts";
import { type DiallerEvents, LinkDialler, type LinkDiallerHost } from "./link_dialler.ts";
import { LinkStream } from "./link_stream.ts";
import type { OwedReceipt } from "./owed_receipts.ts";
import type { Receipt } from "../topics/receipts.ts";
import type { SharedChunk } from "../flow/shared_chunk.ts";
import type { TopicHolder, TopicHolds } from "./topic_holds.ts";

/** What an outgoing link tells the mesh that it belongs to. */
export interface LinkEvents {
  /** It stands, for the first time or again. */
  onStanding(): void;
  /** Those who waited for it need not wait longer. */
  onCaughtUp(): void;
  /** The other process has given no sign of life for a second, although it has something to do. */
  onStalled(): void;
  /**
   * It's owed more than may wait for a process that gives no sign of life. Called once a second while
   * that is so.
   *
   * @param silentMs For how long it has given none.
   */
  onOverdue(owedBytes: number, silentMs: number): void;
  /** It's no more. Called once, last. */
  onGone(): void;
}

/**
 * The way of the messages that this process accepts to one other process, and of what becomes of them
 * there, where that is asked. A process that ends, or doesn't tell in time, is left out. Where a
 * connection breaks, the next one goes on where it stopped.
 *
 * Publishers wait for the other process while it reads, or says that it's alive. When it does neither
 * for a second, they go on, and what they send is kept for it up to a bound.
 */
export class OutgoingLink implements DiallerEvents, LinkAnswers, TopicHolder {
  /** Resolves when it stands for the first time; rejects when the other process ends before. */
  readonly stood: Promise<void>;
  readonly #stream: LinkStream;
  readonly #dialler: LinkDialler;
  readonly #answers = new AnswerDecoder();
  readonly #events: LinkEvents;
  readonly #context: LinkDiallerHost;
  readonly #holds: TopicHolds;
  /** The receipts to which the other process has something to add, by timestamp, the oldest in front. */
  readonly #awaited = new Map<number, OwedReceipt>();
  /** How many topics the other process holds. */
  #heldCount = 0;
  /** When the other process last said anything, on the coarse clock. */
  #heardMs: number;
  #isStalled = false;
  #overdueMs = -Infinity;
  #stand!: () => void;
  #fall!: (error: Error) => void;

  /**
   * Dials the other process.
   *
   * @param path Where it listens.
   * @param holds Where publishers wait for topics that the other process holds.
   */
  constructor(path: string, context: LinkDiallerHost, holds: TopicHolds, events: LinkEvents) {
    this.#events = events;
    this.#context = context;
    this.#holds = holds;
    this.#heardMs = context.clock.nowMs;
    this.stood = new Promise((resolve, reject) => {
      this.#stand = resolve;
      this.#fall = reject;
    });
    // It may be of no interest any more by then.
    this.stood.catch(() => {});
    this.#stream = new LinkStream(context, (bytes) => this.#take(bytes));
    this.#dialler = new LinkDialler(path, this.#stream, context, this);
    this.#dialler.start();
  }

  get pendingBytes(): number {
    return this.#stream.pendingBytes;
  }

  /** Bytes that the other process hasn't said that it has had. */
  get keptBytes(): number {
    return this.#stream.keptBytes;
  }

  /** Whether the other process has said that it has had all. */
  get isAcknowledged(): boolean {
    return this.keptBytes === 0;
  }

  /** Whether the link has broken, and the other process listens no more: it has ended, or is about to. */
  get isDeserted(): boolean {
    return this.#dialler.isDeserted;
  }

  /** Whether the other process has given no sign of life for a second, with something to do. */
  get isStalled(): boolean {
    return this.#isStalled;
  }

  /** Whether all publishers should wait before there is more for it. */
  get isFull(): boolean {
    const { pendingBytes } = this;
    if (!this.#isStalled) return pendingBytes > MAX_COLLECTED_BYTES;
    return pendingBytes > maxOwedFor(this.#context.limits);
  }

  /** @param segment As `sealSegment` makes it. */
  send(segment: SharedChunk): void {
    this.#stream.send(segment);
  }

  /** Whether the other process is still to tell what became of a message. */
  get awaitsAnswers(): boolean {
    return this.#awaited.size > 0;
  }

  /** Lets the other process add to a receipt, for a message that is about to be sent. */
  awaitAnswer(owed: OwedReceipt): void {
    owed.awaitOneMore();
    this.#awaited.set(owed.micros, owed);
  }

  /** Looks at the deadlines. To be called about once a sweep. */
  sweep(): void {
    this.#leaveOutOverdue();
    this.#stream.sweep();
    const { nowMs } = this.#context.clock;
    const isExpected = this.#stream.pendingBytes > 0 || this.#heldCount > 0;
    const silentMs = nowMs - Math.max(this.#stream.progressMs, this.#heardMs);
    if (!isExpected || silentMs < STALL_MS) {
      this.#isStalled = false;
      return;
    }
    if (!this.#isStalled) {
      this.#isStalled = true;
      this.#holds.pass(this);
      this.#events.onStalled();
    }
    const { pendingBytes } = this;
    if (pendingBytes <= maxOwedFor(this.#context.limits)) return;
    if (nowMs - this.#overdueMs < STALL_MS) return;
    this.#overdueMs = nowMs;
    this.#events.onOverdue(pendingBytes, silentMs);
  }

  /** The other process has ended: what it has said is still read, and then the link is no more. */
  end(): void {
    this.#dialler.end();
  }

  close(): void {
    this.#dialler.close();
  }

  #take(bytes: Uint8Array): void {
    this.#isStalled = false;
    this.#heardMs = this.#context.clock.nowMs;
    this.#answers.push(bytes, this);
  }

  onReceipt(micros: number, receipt: Receipt): void {
    const owed = this.#awaited.get(micros);
    // It may have been left out.
    if (owed === undefined) return;
    this.#awaited.delete(micros);
    owed.take(receipt);
  }

  onHold(topic: string): void {
    this.#heldCount++;
    this.#holds.hold(topic, this);
  }

  onLetGo(topic: string): void {
    this.#heldCount--;
    this.#holds.letGo(topic, this);
  }

  onStanding(): void {
    this.#stand();
    this.#events.onStanding();
    // What has waited may have left at once.
    if (this.#stream.hasCaughtUp) this.#events.onCaughtUp();
  }

  onDrain(): void {
    this.#isStalled = false;
    if (this.#stream.hasCaughtUp) this.#events.onCaughtUp();
  }

  onGone(): void {
    this.#stream.discard();
    this.#holds.remove(this);
    for (const owed of this.#awaited.values()) owed.leaveOut();
    this.#awaited.clear();
    this.#fall(new Error("the other process has ended"));
    this.#events.onGone();
  }

  /** Leaves the other process out where it hasn't told in time. */
  #leaveOutOverdue(): void {
    const { nowMs } = this.#context.clock;
    for (const [micros, owed] of this.#awaited) {
      if (nowMs - owed.sinceMs < RECEIPT_DEADLINE_MS) return;
      this.#awaited.delete(micros);
      owed.leaveOut();
    }
  }
}
