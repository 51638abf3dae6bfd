import type { Connection, ConnectionHandler } from "../runtime/types.ts";
import { AnswerDecoder } from "./answer_frames.ts";
import { RECEIPT_DEADLINE_MS } from "./limits.ts";
import { Outbox, type OutboxContext } from "./outbox.ts";
import type { OwedReceipt } from "./owed_receipts.ts";
import type { SharedChunk } from "./shared_chunk.ts";

/** What an outgoing link tells the mesh that it belongs to. */
export interface LinkEvents {
  /** Those who waited for it need not wait longer. */
  onCaughtUp(): void;
  /** It's no more. Called once, last. */
  onGone(): void;
}

/**
 * The way of the messages that this process accepts to one other process, and of what becomes of them
 * there, where that is asked. A process that ends, or doesn't tell in time, is left out.
 */
export class OutgoingLink implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #answers = new AnswerDecoder();
  readonly #events: LinkEvents;
  readonly #context: OutboxContext;
  /** The receipts to which the other process has something to add, by timestamp, the oldest in front. */
  readonly #awaited = new Map<number, OwedReceipt>();

  constructor(connection: Connection, context: OutboxContext, events: LinkEvents) {
    this.#connection = connection;
    this.#outbox = new Outbox(connection, context);
    this.#events = events;
    this.#context = context;
  }

  get pendingBytes(): number {
    return this.#outbox.pendingBytes;
  }

  send(chunk: SharedChunk): void {
    this.#outbox.send(chunk);
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

  /** Leaves the other process out where it hasn't told in time. To be called about once a sweep. */
  sweep(): void {
    const { nowMs } = this.#context.clock;
    for (const [micros, owed] of this.#awaited) {
      if (nowMs - owed.sinceMs < RECEIPT_DEADLINE_MS) return;
      this.#awaited.delete(micros);
      owed.leaveOut();
    }
  }

  close(): void {
    this.#connection.close();
  }

  onData(chunk: Uint8Array): void {
    this.#answers.push(chunk, (micros, receipt) => {
      const owed = this.#awaited.get(micros);
      // It may have been left out.
      if (owed === undefined) return;
      this.#awaited.delete(micros);
      owed.take(receipt);
    });
  }

  onDrain(): void {
    this.#outbox.drained();
    if (this.#outbox.hasCaughtUp) this.#events.onCaughtUp();
  }

  onEnd(): void {
    this.#connection.close();
  }

  onClose(): void {
    this.#outbox.discard();
    for (const owed of this.#awaited.values()) owed.leaveOut();
    this.#awaited.clear();
    this.#events.onGone();
  }
}
