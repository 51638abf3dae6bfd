import { STALL_MS } from "../limits/clients.ts";
import { MAX_COLLECTED_BYTES } from "../limits/messages.ts";
import { maxOwedFor, RECEIPT_DEADLINE_MS } from "../limits/processes.ts";
import { AnswerDecoder, type LinkAnswers } from "./link_answers.ts";
import { type DiallerEvents, LinkDialler, type LinkDiallerHost } from "./link_dialler.ts";
import { type LinkControl, LinkEncoder } from "./link_frames.ts";
import { sealSegment, SEGMENT_HEADER_BYTES } from "./link_segments.ts";
import { LinkStream } from "./link_stream.ts";
import type { OwedReceipt } from "./owed_receipts.ts";
import type { Receipt } from "../topics/receipts.ts";
import { SharedChunk } from "../flow/shared_chunk.ts";
import { Silence } from "./silence.ts";
import type { TopicHolder, TopicHolds } from "./topic_holds.ts";

/** The events that an outgoing link reports to its mesh. */
export interface LinkEvents {
  /** Called when the link stands, for the first time or again. */
  onStanding(): void;
  /** Called when publishers that waited for it may go on. */
  onCaughtUp(): void;
  /** Called when the other process has given no sign of life for a second, although it has work to do. */
  onStalled(): void;
  /**
   * Called once a second while more waits for the other process than may, and it gives no sign of life.
   *
   * @param owedBytes The bytes that wait.
   * @param silentMs Milliseconds for which it has given no sign of life.
   */
  onOverdue(owedBytes: number, silentMs: number): void;
  /** Called when some of the waiting bytes have left. */
  onDrain(): void;
  /** Called once, last, when the link has ended. */
  onGone(): void;
}

/**
 * The end of a link that this process has dialled. It carries the messages that this process accepts to one
 * other process, and brings back what became of them there, if that is asked. A process that ends, hangs, or
 * doesn't answer in time, is left out of receipts. If a connection breaks, the next one goes on where it
 * stopped.
 *
 * Publishers and their receipts wait for the other process while it acknowledges what arrives, or says that
 * it is alive. When it does neither for a second, they go on without it, and what they send is kept for it,
 * up to a bound.
 */
export class OutgoingLink implements DiallerEvents, LinkAnswers, TopicHolder {
  /** Resolves when it stands for the first time; rejects when the other process ends before. */
  readonly stood: Promise<void>;
  /** Resolves when the link has ended. */
  readonly gone: Promise<void>;
  readonly #stream: LinkStream;
  readonly #dialler: LinkDialler;
  readonly #answers = new AnswerDecoder();
  readonly #events: LinkEvents;
  readonly #context: LinkDiallerHost;
  readonly #holds: TopicHolds;
  /** Receipts to which the other process has to add its counts, by timestamp, the oldest in front. */
  readonly #awaited = new Map<number, OwedReceipt>();
  /** The number of topics that the other process holds. */
  #heldCount = 0;
  /** Bytes that the kernel takes don't end it: the kernel takes them for a process that hangs, too. */
  readonly #silence: Silence;
  #overdueMs = -Infinity;
  #stand!: () => void;
  #end!: () => void;
  #fall!: (error: Error) => void;

  /**
   * Dials the other process.
   *
   * @param path The path of its socket.
   * @param holds Makes publishers wait for topics that the other process holds.
   */
  constructor(path: string, context: LinkDiallerHost, holds: TopicHolds, events: LinkEvents) {
    this.#events = events;
    this.#context = context;
    this.#holds = holds;
    this.#silence = new Silence(context.clock);
    this.stood = new Promise((resolve, reject) => {
      this.#stand = resolve;
      this.#fall = reject;
    });
    // A rejection that no caller awaits must not end this process.
    this.stood.catch(() => {});
    this.gone = new Promise((resolve) => this.#end = resolve);
    this.#stream = new LinkStream(
      context,
      (bytes) => this.#take(bytes),
      () => this.#silence.end(),
    );
    this.#dialler = new LinkDialler(path, this.#stream, context, this);
    this.#dialler.start();
  }

  get pendingBytes(): number {
    return this.#stream.pendingBytes;
  }

  /** Bytes that the other process hasn't acknowledged. */
  get keptBytes(): number {
    return this.#stream.keptBytes;
  }

  /** True if the other process has acknowledged everything. */
  get isAcknowledged(): boolean {
    return this.keptBytes === 0;
  }

  /** True if the link has broken and the other process doesn't listen: it has ended, or is about to. */
  get isDeserted(): boolean {
    return this.#dialler.isDeserted;
  }

  /** True while the other process has given no sign of life for a second, although it has work to do. */
  get isStalled(): boolean {
    return this.#silence.isLong;
  }

  /** True while all publishers should wait for this link. */
  get isFull(): boolean {
    const { pendingBytes } = this;
    if (!this.isStalled) return pendingBytes > MAX_COLLECTED_BYTES;
    return pendingBytes > maxOwedFor(this.#context.limits);
  }

  /** @param segment A data segment that `sealSegment` made. */
  send(segment: SharedChunk): void {
    this.#stream.send(segment);
  }

  /** Sends a frame that isn't a message. @param payload Copied. */
  sendControl(kind: LinkControl, micros: number, payload: Uint8Array): void {
    const encoder = new LinkEncoder(SEGMENT_HEADER_BYTES);
    encoder.appendControl(kind, micros, payload);
    const bytes = encoder.take();
    sealSegment(bytes);
    this.send(new SharedChunk(bytes, this.#context.budget));
  }

  /** True while the other process still has to answer what became of a message. */
  get awaitsAnswers(): boolean {
    return this.#awaited.size > 0;
  }

  /**
   * Makes a receipt wait for the other process's counts, unless that process gives no sign of life. The
   * receipt's message is about to be sent. Counts that come later, unawaited, are ignored.
   */
  awaitAnswer(owed: OwedReceipt): void {
    if (this.isStalled) return;
    owed.awaitOneMore();
    this.#awaited.set(owed.micros, owed);
  }

  /** Acts on deadlines that have passed. To be called about once a sweep. */
  sweep(): void {
    this.#leaveOutOverdue();
    this.#stream.sweep();
    const wasStalled = this.isStalled;
    this.#silence.look(this.keptBytes > 0 || this.#heldCount > 0 || this.awaitsAnswers);
    if (!this.isStalled) return;
    if (!wasStalled) {
      this.#holds.pass(this);
      this.#leaveOutAll();
      this.#events.onStalled();
    }
    const { pendingBytes } = this;
    if (pendingBytes <= maxOwedFor(this.#context.limits)) return;
    const { nowMs } = this.#context.clock;
    if (nowMs - this.#overdueMs < STALL_MS) return;
    this.#overdueMs = nowMs;
    this.#events.onOverdue(pendingBytes, this.#silence.ms);
  }

  /** To be called when the other process has ended: reads what it has sent, then ends the link. */
  end(): void {
    this.#dialler.end();
  }

  close(): void {
    this.#dialler.close();
  }

  #take(bytes: Uint8Array): void {
    this.#silence.end();
    this.#answers.push(bytes, this);
  }

  onReceipt(micros: number, receipt: Receipt): void {
    const owed = this.#awaited.get(micros);
    // The other process may have been left out already.
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
    this.#silence.end();
    this.#events.onStanding();
    this.#stand();
    // Waiting bytes may have left at once.
    if (this.#stream.hasCaughtUp) this.#events.onCaughtUp();
  }

  onDrain(): void {
    if (this.#stream.hasCaughtUp) this.#events.onCaughtUp();
    this.#events.onDrain();
  }

  onGone(): void {
    this.#stream.discard();
    this.#holds.remove(this);
    this.#leaveOutAll();
    this.#fall(new Error("the other process has ended"));
    this.#end();
    this.#events.onGone();
  }

  /** Leaves the other process out of receipts that it hasn't answered in time. */
  #leaveOutOverdue(): void {
    const { nowMs } = this.#context.clock;
    for (const [micros, owed] of this.#awaited) {
      if (nowMs - owed.sinceMs < RECEIPT_DEADLINE_MS) return;
      this.#awaited.delete(micros);
      owed.leaveOut();
    }
  }

  #leaveOutAll(): void {
    for (const owed of this.#awaited.values()) owed.leaveOut();
    this.#awaited.clear();
  }
}
