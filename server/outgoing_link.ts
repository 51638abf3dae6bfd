import type { Connection, ConnectionHandler } from "../runtime/types.ts";
import { AnswerDecoder } from "./answer_frames.ts";
import { Outbox, type OutboxContext } from "./outbox.ts";
import type { Receipt } from "./receipts.ts";
import type { SharedChunk } from "./shared_chunk.ts";

/** What an outgoing link tells the mesh that it belongs to. */
export interface LinkEvents {
  /** Those who waited for it need not wait longer. */
  onCaughtUp(): void;
  /** The process at its other end has told what became of a message there. */
  onAnswer(link: OutgoingLink, micros: number, receipt: Receipt): void;
  /** It's no more. Called once, last. */
  onGone(link: OutgoingLink): void;
}

/** The way of the messages that this process accepts to one other process. */
export class OutgoingLink implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #answers = new AnswerDecoder();
  readonly #events: LinkEvents;

  constructor(connection: Connection, context: OutboxContext, events: LinkEvents) {
    this.#connection = connection;
    this.#outbox = new Outbox(connection, context);
    this.#events = events;
  }

  get pendingBytes(): number {
    return this.#outbox.pendingBytes;
  }

  send(chunk: SharedChunk): void {
    this.#outbox.send(chunk);
  }

  close(): void {
    this.#connection.close();
  }

  onData(chunk: Uint8Array): void {
    this.#answers.push(chunk, (micros, receipt) => this.#events.onAnswer(this, micros, receipt));
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
    this.#events.onGone(this);
  }
}
