import type { Connection, ConnectionHandler, Runtime } from "../runtime/types.ts";
import { AnswerEncoder } from "./answer_frames.ts";
import type { Gate, Waiter } from "./gate.ts";
import { LinkDecoder, type LinkFrames } from "./link_frames.ts";
import { Outbox, type OutboxContext } from "./outbox.ts";
import type { Receipt, TakeReceipt } from "./receipts.ts";
import { SharedChunk } from "./shared_chunk.ts";

/** What links need of the server they belong to. */
export interface MeshHost extends OutboxContext {
  readonly runtime: Runtime;
  /**
   * Fans out a message that another process accepted.
   *
   * @param take Called once it's known what became of the message here; absent where nobody wants
   * to know.
   * @returns The gate at which messages of that topic should wait, if they should.
   */
  publishForwarded(
    topic: string,
    micros: number,
    message: Uint8Array,
    take: TakeReceipt | undefined,
  ): Gate | undefined;
}

/**
 * Reads what another process accepted, no faster than this one can fan it out, and tells it what
 * became of the messages where it asks.
 */
export class IncomingLink implements ConnectionHandler, LinkFrames, Waiter {
  readonly #connection: Connection;
  readonly #host: MeshHost;
  readonly #decoder = new LinkDecoder();
  readonly #outbox: Outbox;
  readonly #answers = new AnswerEncoder();
  #gate: Gate | undefined;
  #isGone = false;

  constructor(connection: Connection, host: MeshHost) {
    this.#connection = connection;
    this.#host = host;
    this.#outbox = new Outbox(connection, host);
  }

  onData(chunk: Uint8Array): void {
    this.#gate = undefined;
    this.#decoder.push(chunk, this);
    if (this.#gate === undefined) return;
    this.#connection.pauseReading();
    (this.#gate as Gate).wait(this);
  }

  onForwarded(topic: string, micros: number, message: Uint8Array, wantsReceipt: boolean): void {
    const take = wantsReceipt ? (receipt: Receipt) => this.#answer(micros, receipt) : undefined;
    this.#gate = this.#host.publishForwarded(topic, micros, message, take) ?? this.#gate;
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
    this.#gate?.leave(this);
    this.#outbox.discard();
  }

  #answer(micros: number, receipt: Receipt): void {
    this.#answers.append(micros, receipt);
    if (this.#answers.size === 1) this.#host.runtime.nextTurn(() => this.#flush());
  }

  #flush(): void {
    const bytes = this.#answers.take();
    if (!this.#isGone) this.#outbox.send(new SharedChunk(bytes, this.#host.budget));
  }
}
