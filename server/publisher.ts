import { encodeReceipt } from "../protocol/encoder.ts";
import type { Gate } from "./gate.ts";
import { ReceiptQueue } from "./receipt_queue.ts";
import type { Receipt } from "./receipts.ts";
import type { SessionContext } from "./session_context.ts";
import type { Topic } from "./topic.ts";

/** What a publisher needs of the session whose client it is. */
export interface PublishingSession {
  /** Whether the client is still listened to. */
  readonly isOpen: boolean;
  /** Sends the client a frame. */
  send(frame: Uint8Array): void;
}

/**
 * A client that publishes: whom it waits for, and the receipts that it's owed. Made with its first
 * message, so that a client that only listens costs nothing.
 */
export class Publisher {
  readonly #session: PublishingSession;
  readonly #context: SessionContext;
  #publishedMs: number;
  /** The topic it published to last that has subscribers, which may make it wait. */
  #topic: Topic | undefined;
  #receipts: ReceiptQueue | undefined;

  constructor(session: PublishingSession, context: SessionContext) {
    this.#session = session;
    this.#context = context;
    this.#publishedMs = context.clock.nowMs;
  }

  /** When it last published, or was last made to wait, on the coarse clock. */
  get publishedMs(): number {
    return this.#publishedMs;
  }

  /** Where it should wait before it publishes more: for its topic, or the server as a whole. */
  get gate(): Gate | undefined {
    const { budget, ceiling, budgetGate, backplane } = this.#context;
    return budget.isTight || ceiling.holdsAll ? budgetGate : this.#topic?.gate ?? backplane?.gate;
  }

  /** The server has made it wait. */
  onWaited(): void {
    this.#publishedMs = this.#context.clock.nowMs;
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

  /** @returns The timestamp that a message is accepted with. */
  #accept(): number {
    const { timestamps, counters, clock } = this.#context;
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
}
