/**
 * The connection that publishes a run's messages.
 *
 * @module
 */

import type { Connection, ConnectionHandler, Runtime } from "../../runtime/types.ts";
import { ChunkWriter } from "./chunk_writer.ts";
import type { Dialect } from "../dialects/dialect.ts";
import { Dialler, endpoint, type Port } from "./endpoint.ts";
import { EnvironmentError } from "../../cli/command_line.ts";
import { FrameReader } from "./frame_reader.ts";
import { RefusalError } from "./refusal.ts";
import { clockMs } from "../measures/clock.ts";

/** Milliseconds for the connect, and again for the greeting: the same as a bot's. */
const PATIENCE_MS = 3000;

/** A connection that the server has greeted, and that has one message to publish. */
export class BotsPublisher implements ConnectionHandler {
  readonly #dialect: Dialect;
  readonly #connection: Connection;
  readonly #greeted = Promise.withResolvers<void>();
  /** Resolves when the opening is sent. */
  readonly #drained = Promise.withResolvers<void>();
  readonly #refused = Promise.withResolvers<void>();
  readonly #reader: FrameReader;
  readonly #writer: ChunkWriter;
  #refusal: string | null = null;

  private constructor(dialect: Dialect, connection: Connection) {
    this.#dialect = dialect;
    this.#connection = connection;
    // A failure belongs to the caller that awaits it, even if it happens before that.
    this.#greeted.promise.catch(() => {});
    this.#reader = new FrameReader(dialect);
    this.#writer = new ChunkWriter(connection);
    this.#writer.send(dialect.publisherOpening);
    if (this.#writer.isIdle) this.#drained.resolve();
  }

  /**
   * Connects, and waits for the greeting. So the measured time doesn't begin in the server's backlog, and
   * a refusal can be told from a lost message.
   *
   * @throws {EnvironmentError} (rejects) if the server doesn't accept the connection. Its `cause` is a
   * {@linkcode RefusalError} if the server said why.
   */
  static async connect(
    runtime: Runtime,
    dialect: Dialect,
    hostname: string,
    place: Port,
  ): Promise<BotsPublisher> {
    let publisher: BotsPublisher | undefined;
    const to = endpoint(hostname, place, PATIENCE_MS);
    try {
      await new Dialler(runtime, dialect)
        .connect(to, (connection) => publisher = new BotsPublisher(dialect, connection));
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

  /** The server's refusal of the connection or its message; `null` if there is none. */
  get refusal(): string | null {
    return this.#refusal;
  }

  /** Resolves as soon as there is a {@linkcode BotsPublisher.refusal}; perhaps never. */
  get refused(): Promise<void> {
    return this.#refused.promise;
  }

  /**
   * Publishes, then closes the connection if that is the dialect's way.
   *
   * @returns the moment before the first byte is sent, in milliseconds by {@linkcode clockMs}.
   */
  publish(): number {
    const bytes = this.#dialect.publish(Math.floor(clockMs() * 1000));
    const publishedAtMs = clockMs();
    this.#writer.send(bytes);
    if (!this.#dialect.publisherStays) this.#writer.close();
    return publishedAtMs;
  }

  /** Drops the connection if it is still open. */
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
