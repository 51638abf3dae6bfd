/**
 * The one more connection that publishes.
 *
 * @module
 */

import type { Connection, ConnectionHandler, Runtime } from "../../runtime/types.ts";
import { ChunkWriter } from "./chunk_writer.ts";
import type { Dialect } from "../dialects/dialect.ts";
import { endpoint, type Port } from "./endpoint.ts";
import { EnvironmentError } from "../../cli/command_line.ts";
import { FrameReader } from "./frame_reader.ts";
import { RefusalError } from "./refusal.ts";
import { clockMs } from "../measures/clock.ts";

/** As long as a bot gives a connect. */
const PATIENCE_MS = 3000;

/** A connection that the server has greeted, and that has one message to publish. */
export class Publisher implements ConnectionHandler {
  readonly #dialect: Dialect;
  readonly #connection: Connection;
  readonly #greeted = Promise.withResolvers<void>();
  /** Nothing is in flight. */
  readonly #drained = Promise.withResolvers<void>();
  readonly #refused = Promise.withResolvers<void>();
  readonly #reader: FrameReader;
  readonly #writer: ChunkWriter;
  #refusal: string | null = null;

  private constructor(dialect: Dialect, connection: Connection) {
    this.#dialect = dialect;
    this.#connection = connection;
    // Whether it fails before or after someone waits for it, it's the waiting one's to handle.
    this.#greeted.promise.catch(() => {});
    this.#reader = new FrameReader(dialect);
    this.#writer = new ChunkWriter(connection);
    this.#writer.send(dialect.publisherOpening);
    if (this.#writer.isIdle) this.#drained.resolve();
  }

  /**
   * Connects, and waits for the greeting: so the message's way doesn't begin with a connection in the
   * server's backlog, and a refusal is told from a message that got lost.
   *
   * @throws {EnvironmentError} (rejects) if the server doesn't take the connection; the cause is a
   * {@linkcode RefusalError} where it says why.
   */
  static async connect(
    runtime: Runtime,
    dialect: Dialect,
    hostname: string,
    place: Port,
  ): Promise<Publisher> {
    let publisher: Publisher | undefined;
    const to = endpoint(hostname, place, PATIENCE_MS);
    try {
      await runtime.connect(to, (connection) => publisher = new Publisher(dialect, connection));
      const timer = setTimeout(
        () => publisher!.#greeted.reject(new Error(`no greeting within ${PATIENCE_MS / 1000} s`)),
        PATIENCE_MS,
      );
      await publisher!.#greeted.promise.finally(() => clearTimeout(timer));
      await publisher!.#drained.promise;
    } catch (cause) {
      publisher?.release();
      const says = cause instanceof RefusalError ? "the server says " : "";
      throw new EnvironmentError(
        `the publisher can't connect to ${hostname}:${place.port}: ${says}${
          (cause as Error).message
        }`,
        { cause },
      );
    }
    return publisher!;
  }

  /** What the server has said against the connection or its message; `null` for nothing. */
  get refusal(): string | null {
    return this.#refusal;
  }

  /** Resolves as soon as there is a {@linkcode Publisher.refusal}, which may be never. */
  get refused(): Promise<void> {
    return this.#refused.promise;
  }

  /**
   * Publishes, and closes where that is the dialect's way.
   *
   * @returns the moment before the first byte left, by {@linkcode clockMs}.
   */
  publish(): number {
    const bytes = this.#dialect.publish(Math.floor(clockMs() * 1000));
    const publishedAtMs = clockMs();
    this.#writer.send(bytes);
    if (!this.#dialect.publisherStays) this.#writer.close();
    return publishedAtMs;
  }

  /** Drops what is left of the connection. */
  release(): void {
    this.#connection.destroy();
  }

  onData(chunk: Uint8Array): void {
    for (const frame of this.#reader.push(chunk)) this.#onFrame(frame);
  }

  #onFrame(frame: Uint8Array): void {
    const kind = this.#dialect.kindOf(frame);
    if (kind === "greeting") this.#greeted.resolve();
    else if (kind === "refusal") this.#onRefusal(this.#dialect.refusalText(frame));
    else if (kind === "heartbeat") this.#writer.send(this.#dialect.heartbeatReply);
    else this.#greeted.reject(new Error("the server's first word is no greeting"));
  }

  #onRefusal(text: string): void {
    this.#refusal ??= text;
    this.#refused.resolve();
    this.#greeted.reject(new RefusalError(text));
  }

  onDrain(): void {
    this.#writer.onDrain();
    this.#drained.resolve();
  }

  onEnd(): void {
    this.#connection.close();
  }

  onClose(): void {
    this.#greeted.reject(new Error("the server closed the connection"));
  }
}
