import { Gate } from "../flow/gate.ts";
import { FEW_OWED_RECEIPTS, MAX_UNTAKEN_BYTES } from "../limits/messages.ts";
import { ReceiptQueue } from "../cluster/owed_receipts.ts";
import type { Receiver } from "../topics/receipt_desk.ts";
import type { SessionContext } from "./session_context.ts";
import type { Topic } from "../topics/topic.ts";

/** The session, as its publisher uses it. */
export interface PublishingSession {
  /** True while the server reads the client's frames. */
  readonly isOpen: boolean;
  /** Bytes that wait for the client, without those that topics keep for it as a subscriber. */
  readonly unsentBytes: number;
  /**
   * Joins replies to the client until {@linkcode endReplies}.
   *
   * @returns False if replies are being joined already, for this client or another.
   */
  beginReplies(): boolean;
  /** Sends the joined replies. */
  endReplies(): void;
}

/**
 * A client as a publisher: it decides what the client waits for, and keeps the receipts that the client
 * is owed. Made with the first message, so that a client that only listens costs nothing.
 */
export class Publisher implements Receiver {
  readonly #session: PublishingSession;
  readonly #context: SessionContext;
  #publishedMs: number;
  /** The last topic with subscribers that it published to; kept while that makes it wait. */
  #topic: Topic | undefined;
  /** Name of the last topic that it published to; kept while other processes make it wait for that. */
  #name = "";
  #receipts: ReceiptQueue | undefined;
  /** The publisher waits here until the client has taken its receipts. */
  #untakenGate: Gate | undefined;

  constructor(session: PublishingSession, context: SessionContext) {
    this.#session = session;
    this.#context = context;
    this.#publishedMs = context.clock.nowMs;
  }

  /** Time on the coarse clock at which it last published, waits that the server imposed not counted. */
  get publishedMs(): number {
    return this.#publishedMs;
  }

  /** The gate to wait at before it publishes more: for memory, receipts, its topic, or other processes. */
  get gate(): Gate | undefined {
    const { budget, ceiling, budgetGate, backplane } = this.#context;
    if (budget.isTight || ceiling.holdsAll) return budgetGate;
    const receiptsGate = this.#receipts && (this.#receipts.gate ?? this.#gateOfUntaken());
    return receiptsGate ?? this.#topic?.gate ?? backplane?.gateOf(this.#name) ?? backplane?.gate;
  }

  /** Bytes of memory that its owed receipts take. */
  get owedBytes(): number {
    return this.#receipts?.heldBytes ?? 0;
  }

  /** True if it's owed as many receipts as it may be. */
  get isOwedEnough(): boolean {
    return this.#receipts?.isFull ?? false;
  }

  /** Called when a wait that the server imposed ends, which began at a time of the coarse clock. */
  onWaited(sinceMs: number): void {
    this.#publishedMs = this.#context.clock.withoutWait(this.#publishedMs, sinceMs);
  }

  /** Called when the client has taken some of the bytes that wait for it. */
  onTaken(): void {
    if (this.#untakenGate === undefined) return;
    if (this.#session.unsentBytes > MAX_UNTAKEN_BYTES / 2) return;
    this.#untakenGate.open();
    this.#untakenGate = undefined;
  }

  /** Accepts a message. Its bytes are copied. */
  publish(name: string, message: Uint8Array): void {
    const { topics, backplane, origins } = this.#context;
    const micros = this.#accept(name);
    backplane?.forward(name, micros, message);
    this.#follow(name, topics.publish(origins.own, name, micros, message, undefined));
  }

  /** As {@linkcode publish}, and sends the client a receipt once the message's fate is known. */
  publishForReceipt(name: string, message: Uint8Array): void {
    const { topics, backplane, receiptDesk, origins } = this.#context;
    const micros = this.#accept(name);
    this.#receipts ??= new ReceiptQueue(receiptDesk, () => this.#onReceiptsReady());
    const owed = this.#receipts.owe(micros);
    backplane?.forwardForReceipt(name, message, owed);
    this.#follow(name, topics.publish(origins.own, name, micros, message, owed));
  }

  /**
   * The gate at which it should wait, if the client doesn't take the bytes that wait for it. The gate
   * opens when the client does; the write deadline ends a client that takes nothing.
   */
  #gateOfUntaken(): Gate | undefined {
    const { isOpen, unsentBytes } = this.#session;
    if (!isOpen || unsentBytes < MAX_UNTAKEN_BYTES) return undefined;
    return this.#untakenGate ??= new Gate(this.#context.runtime, "receipts");
  }

  /** Counts a message as accepted, and returns its timestamp in microseconds since the Unix epoch. */
  #accept(name: string): number {
    const { timestamps, counters, clock, origins, watchedTopics } = this.#context;
    this.#publishedMs = clock.nowMs;
    counters.messagesIn++;
    watchedTopics?.countMessage(name);
    return origins.own.micros = timestamps.nextOfGroup();
  }

  #follow(name: string, topic: Topic | undefined): void {
    if (topic !== undefined && this.#topic?.gate === undefined) this.#topic = topic;
    if (this.#context.backplane?.gateOf(this.#name) === undefined) this.#name = name;
  }

  get isOwedFew(): boolean {
    return (this.#receipts?.size ?? 0) <= FEW_OWED_RECEIPTS;
  }

  giveReceipts(): void {
    const receipts = this.#receipts;
    if (receipts === undefined) return;
    const { replies, counters, receiptDesk } = this.#context;
    const isFirst = this.#session.beginReplies();
    // Another client is being answered.
    if (!isFirst && !replies.isFor(this.#session)) return receiptDesk.schedule(this);
    for (let owed = receipts.takeSettled(); owed !== undefined; owed = receipts.takeSettled()) {
      if (!this.#session.isOpen) continue;
      counters.receipts++;
      replies.appendReceipt(owed.micros, owed);
    }
    if (isFirst) this.#session.endReplies();
  }

  #onReceiptsReady(): void {
    // Joined with the other replies, if the client is being answered, so that their order is kept.
    const { replies, receiptDesk } = this.#context;
    if (replies.isFor(this.#session) || !this.#session.isOpen) this.giveReceipts();
    else receiptDesk.schedule(this);
  }
}
