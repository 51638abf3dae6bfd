import { Gate } from "../flow/gate.ts";
import { FEW_OWED_RECEIPTS, MAX_UNTAKEN_BYTES } from "../limits.ts";
import { ReceiptQueue } from "../cluster/owed_receipts.ts";
import type { Receiver } from "../topics/receipt_desk.ts";
import type { SessionContext } from "./session_context.ts";
import type { Topic } from "../topics/topic.ts";

/** What a publisher needs of the session whose client it is. */
export interface PublishingSession {
  /** Whether the client is still listened to. */
  readonly isOpen: boolean;
  /** Bytes that wait for the client. */
  readonly pendingBytes: number;
  /** Joins what is sent to the client until {@linkcode endReplies}; whether that isn't done already. */
  beginReplies(): boolean;
  /** Sends what was joined. */
  endReplies(): void;
}

/**
 * A client that publishes: whom it waits for, and the receipts that it's owed. Made with its first
 * message, so that a client that only listens costs nothing.
 */
export class Publisher implements Receiver {
  readonly #session: PublishingSession;
  readonly #context: SessionContext;
  #publishedMs: number;
  /** The topic it published to last that has subscribers, which may make it wait. */
  #topic: Topic | undefined;
  /** The name of that which it published to last, or before, that other processes make it wait for. */
  #name = "";
  #receipts: ReceiptQueue | undefined;
  /** Where it waits until the client has taken its receipts. */
  #untakenGate: Gate | undefined;

  constructor(session: PublishingSession, context: SessionContext) {
    this.#session = session;
    this.#context = context;
    this.#publishedMs = context.clock.nowMs;
  }

  /** When it last published, or was last made to wait, on the coarse clock. */
  get publishedMs(): number {
    return this.#publishedMs;
  }

  /** Where it should wait before it publishes more: for its topic, its receipts, or the server as a whole. */
  get gate(): Gate | undefined {
    const { budget, ceiling, budgetGate, backplane } = this.#context;
    if (budget.isTight || ceiling.holdsAll) return budgetGate;
    const receiptsGate = this.#receipts && (this.#receipts.gate ?? this.#gateOfUntaken());
    return receiptsGate ?? this.#topic?.gate ?? backplane?.gateOf(this.#name) ?? backplane?.gate;
  }

  /** Bytes of memory that the receipts take which it's owed. */
  get owedBytes(): number {
    return this.#receipts?.heldBytes ?? 0;
  }

  /** Whether it's owed as many receipts as it may be. */
  get isOwedEnough(): boolean {
    return this.#receipts?.isFull ?? false;
  }

  /** The server has made it wait. */
  onWaited(): void {
    this.#publishedMs = this.#context.clock.nowMs;
  }

  /** The client has taken some of what waits for it. */
  onTaken(): void {
    if (this.#untakenGate === undefined) return;
    if (this.#session.pendingBytes > MAX_UNTAKEN_BYTES / 2) return;
    this.#untakenGate.open();
    this.#untakenGate = undefined;
  }

  /** Accepts a message, which is copied. */
  publish(name: string, message: Uint8Array): void {
    const { topics, backplane } = this.#context;
    const micros = this.#accept();
    backplane?.forward(name, micros, message);
    this.#follow(name, topics.publish(name, micros, message, undefined));
  }

  /** The same, and sends the client a receipt once it's known what became of the message. */
  publishForReceipt(name: string, message: Uint8Array): void {
    const { topics, backplane, receiptDesk } = this.#context;
    const micros = this.#accept();
    this.#receipts ??= new ReceiptQueue(receiptDesk, () => this.#onReceiptsReady());
    const owed = this.#receipts.owe(micros);
    backplane?.forwardForReceipt(name, message, owed);
    this.#follow(name, topics.publish(name, micros, message, owed));
  }

  /**
   * Where it should wait before it's owed more receipts, while the client doesn't take what waits for it.
   * The gate opens when it does; one that takes nothing is ended by the write deadline.
   */
  #gateOfUntaken(): Gate | undefined {
    const { isOpen, pendingBytes } = this.#session;
    if (!isOpen || pendingBytes < MAX_UNTAKEN_BYTES) return undefined;
    return this.#untakenGate ??= new Gate(this.#context.runtime);
  }

  /** @returns The timestamp that a message is accepted with. */
  #accept(): number {
    const { timestamps, counters, clock } = this.#context;
    this.#publishedMs = clock.nowMs;
    counters.messagesIn++;
    return timestamps.next();
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
    // While the client is being answered its receipts keep their order with the other answers.
    const { replies, receiptDesk } = this.#context;
    if (replies.isFor(this.#session) || !this.#session.isOpen) this.giveReceipts();
    else receiptDesk.schedule(this);
  }
}
