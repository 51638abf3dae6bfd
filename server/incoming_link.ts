import type { BufferPool } from "../protocol/buffer_pool.ts";
import type { Connection, ConnectionHandler, Runtime } from "../runtime/types.ts";
import { AnswerEncoder } from "./answer_frames.ts";
import type { Gate, Waiter } from "./gate.ts";
import { LinkDecoder, type LinkFrames } from "./link_frames.ts";
import { Outbox, type OutboxContext } from "./outbox.ts";
import type { Receipt, ReceiptTaker } from "./receipts.ts";
import { SharedChunk } from "./shared_chunk.ts";
import type { Topic } from "./topic.ts";

/** What links need of the server they belong to. */
export interface MeshHost extends OutboxContext {
  readonly runtime: Runtime;
  /** Memory for messages that arrive in pieces. */
  readonly buffers: BufferPool;
  /**
   * Fans out a message that another process accepted.
   *
   * @param taker Told once it's known what became of the message here; absent where nobody wants to
   * know.
   * @returns The topic, if it has subscribers here.
   */
  publishForwarded(
    topic: string,
    micros: number,
    message: Uint8Array,
    taker: ReceiptTaker | undefined,
  ): Topic | undefined;
  /** The gate at which messages of a topic should wait now, if they should. */
  gateOf(topic: Topic | undefined): Gate | undefined;
}

/**
 * Reads what another process accepted, no faster than this one can fan it out, and tells it what
 * became of the messages where it asks.
 */
export class IncomingLink implements ConnectionHandler, LinkFrames, Waiter {
  readonly #connection: Connection;
  readonly #host: MeshHost;
  readonly #decoder: LinkDecoder;
  readonly #outbox: Outbox;
  readonly #answers = new AnswerEncoder();
  /** A topic of the chunk that is being read whose messages should wait. */
  #topic: Topic | undefined;
  #gate: Gate | undefined;
  #isGone = false;

  constructor(connection: Connection, host: MeshHost) {
    this.#connection = connection;
    this.#host = host;
    this.#decoder = new LinkDecoder(host.buffers);
    this.#outbox = new Outbox(connection, host);
  }

  onData(chunk: Uint8Array): void {
    this.#topic = undefined;
    this.#decoder.push(chunk, this);
    // A gate that has opened since the message it was asked for would not open for this link again.
    this.#gate = this.#host.gateOf(this.#topic);
    if (this.#gate === undefined) return;
    this.#connection.pauseReading();
    this.#gate.wait(this);
  }

  onForwarded(topic: string, micros: number, message: Uint8Array, wantsReceipt: boolean): void {
    const taker = wantsReceipt ? new AskedReceipt(micros, this) : undefined;
    const published = this.#host.publishForwarded(topic, micros, message, taker);
    if (published?.gate !== undefined) this.#topic = published;
  }

  resume(): void {
    this.#connection.resumeReading();
  }

  onDrain(): void {
    this.#outbox.drained();
  }

  onEnd(): void {
    this.#connection.close();
  }

  onClose(): void {
    this.#isGone = true;
    this.#decoder.discard();
    this.#gate?.leave(this);
    this.#outbox.discard();
  }

  /** Tells the other process what became of one of its messages here. */
  answer(micros: number, receipt: Receipt): void {
    if (this.#isGone) return;
    this.#answers.append(micros, receipt);
    if (this.#answers.size === 1) this.#host.runtime.nextTurn(() => this.#flush());
  }

  #flush(): void {
    const bytes = this.#answers.take();
    if (!this.#isGone) this.#outbox.send(new SharedChunk(bytes, this.#host.budget));
  }
}

/** What another process wants to know of one of its messages. */
class AskedReceipt implements ReceiptTaker {
  readonly #micros: number;
  readonly #link: IncomingLink;

  constructor(micros: number, link: IncomingLink) {
    this.#micros = micros;
    this.#link = link;
  }

  take(receipt: Receipt): void {
    this.#link.answer(this.#micros, receipt);
  }
}
