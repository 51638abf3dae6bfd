/**
 * The client that publishes during a storm.
 *
 * @module
 */

import { encodePublish } from "../../protocol/client_encoder.ts";
import type { Connection, ConnectionHandler, Runtime } from "../../runtime/types.ts";
import { ChunkWriter } from "../client/chunk_writer.ts";
import { Dialler, endpoint, type Port } from "../client/endpoint.ts";
import { FrameReader } from "../client/frame_reader.ts";
import type { Dialect } from "../dialects/dialect.ts";
import { NumberedMessage } from "../dialects/published_message.ts";
import { backoffMs } from "../fleet/backoff.ts";
import type { ResumptionPlan } from "../fleet/resumption.ts";

/** The target and the messages of a storm's publisher. */
export interface StormPublisherPlan extends ResumptionPlan {
  readonly runtime: Runtime;
  /** Of a client of today. */
  readonly dialect: Dialect;
  readonly hostname: string;
  readonly place: Port;
  /** Milliseconds from one message to the next. */
  readonly everyMs: number;
}

/** Milliseconds for a connect and the greeting. */
const PATIENCE_MS = 3_000;

/** Milliseconds between two looks for messages that are due. */
const TICK_MS = 5;

/**
 * Publishes numbered messages at a steady pace, and connects anew where it must. What is sent on a
 * connection that breaks may be lost, and isn't sent again.
 */
export class StormPublisher {
  readonly #plan: StormPublisherPlan;
  readonly #message: NumberedMessage;
  #publication: Publication | null = null;
  #next = 0;
  #isOver = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #beganMs = 0;

  constructor(plan: StormPublisherPlan) {
    this.#plan = plan;
    this.#message = new NumberedMessage(plan);
  }

  /** The number of messages that were sent. */
  get published(): number {
    return this.#next;
  }

  /** True when all are sent. */
  get isDone(): boolean {
    return this.#next === this.#plan.rounds;
  }

  /** Begins to publish. Call it once. */
  start(): void {
    this.#beganMs = performance.now();
    void this.#connect(0);
    this.#tick();
  }

  /** Ends it, and drops the connection. */
  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#publication?.end();
  }

  async #connect(failures: number): Promise<void> {
    const { runtime, dialect, hostname, place } = this.#plan;
    const onEnd = (wasReady: boolean) => {
      this.#publication = null;
      if (this.#isOver) return;
      const next = wasReady ? 0 : failures + 1;
      setTimeout(() => void this.#connect(next), backoffMs(next));
    };
    if (this.#isOver) return;
    try {
      await new Dialler(runtime, dialect).connect(
        endpoint(hostname, place, PATIENCE_MS),
        (connection) => this.#publication = new Publication(connection, dialect, onEnd),
      );
    } catch {
      onEnd(false);
    }
  }

  #tick(): void {
    const { rounds, everyMs } = this.#plan;
    const dueByNow = Math.floor((performance.now() - this.#beganMs) / everyMs) + 1;
    const publication = this.#publication;
    while (this.#next < Math.min(rounds, dueByNow) && publication?.isReady) {
      publication.send(encodePublish(this.#message.text(this.#next++), { pipelined: true }));
    }
    if (!this.#isOver && !this.isDone) this.#timer = setTimeout(() => this.#tick(), TICK_MS);
  }
}

/** One connection of the publisher. */
class Publication implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #dialect: Dialect;
  readonly #reader: FrameReader;
  readonly #writer: ChunkWriter;
  readonly #onEnd: (wasReady: boolean) => void;
  #isGreeted = false;

  constructor(connection: Connection, dialect: Dialect, onEnd: (wasReady: boolean) => void) {
    this.#connection = connection;
    this.#dialect = dialect;
    this.#reader = new FrameReader(dialect);
    this.#writer = new ChunkWriter(connection);
    this.#onEnd = onEnd;
    this.#writer.send(dialect.publisherOpening);
  }

  /** True if it may send a message now. */
  get isReady(): boolean {
    return this.#isGreeted && this.#writer.isIdle;
  }

  send(chunk: Uint8Array): void {
    this.#writer.send(chunk);
  }

  end(): void {
    this.#connection.destroy();
  }

  onData(chunk: Uint8Array): void {
    for (const frame of this.#reader.push(chunk)) {
      const kind = this.#dialect.kindOf(frame);
      if (kind === "greeting") this.#isGreeted = true;
      else if (kind === "heartbeat") this.#writer.send(this.#dialect.heartbeatReply);
    }
  }

  onDrain(): void {
    this.#writer.onDrain();
  }

  onEnd(): void {
    this.#connection.close();
  }

  onClose(): void {
    this.#onEnd(this.#isGreeted);
  }
}
