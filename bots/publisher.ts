/**
 * The one more connection that publishes.
 *
 * @module
 */

import type { Connection, ConnectionHandler, Runtime } from "../runtime/types.ts";
import type { Dialect } from "./dialect.ts";
import { endpoint, type Port } from "./endpoint.ts";
import { EnvironmentError } from "../runtime/command_line.ts";
import { clockMs } from "./squad.ts";

/** As long as a bot gives a connect. */
const PATIENCE_MS = 3000;

/** What of a greeting that doesn't end is kept; a Janus greeting has under 100 bytes. */
const MAX_GREETING_BYTES = 64 * 1024;

/** A connection that the server has greeted, and that has one message to publish. */
export class Publisher implements ConnectionHandler {
  readonly #dialect: Dialect;
  readonly #connection: Connection;
  readonly #greeted = Promise.withResolvers<void>();
  /** Nothing is in flight. */
  readonly #drained = Promise.withResolvers<void>();
  #received = new Uint8Array(0);

  private constructor(dialect: Dialect, connection: Connection) {
    this.#dialect = dialect;
    this.#connection = connection;
    // Whether it fails before or after someone waits for it, it's the waiting one's to handle.
    this.#greeted.promise.catch(() => {});
    if (connection.write(dialect.publisherOpening)) this.#drained.resolve();
  }

  /**
   * Connects, and waits for the greeting: so the message's way doesn't begin with a connection in the
   * server's backlog, and a refusal is told from a message that got lost.
   *
   * @throws {EnvironmentError} (rejects) if the server doesn't take the connection.
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
      throw new EnvironmentError(
        `the publisher can't connect to ${hostname}:${place.port}: ${(cause as Error).message}`,
        { cause },
      );
    }
    return publisher!;
  }

  /** Publishes and closes. Returns the moment before the first byte left, by {@linkcode clockMs}. */
  publish(): number {
    const bytes = this.#dialect.publish(Math.floor(clockMs() * 1000));
    const publishedAtMs = clockMs();
    this.#connection.write(bytes);
    this.#connection.close();
    return publishedAtMs;
  }

  /** Drops what is left of the connection. */
  release(): void {
    this.#connection.destroy();
  }

  onData(chunk: Uint8Array): void {
    if (this.#received.length > MAX_GREETING_BYTES) return;
    const bytes = new Uint8Array(this.#received.length + chunk.length);
    bytes.set(this.#received);
    bytes.set(chunk, this.#received.length);
    this.#received = bytes;
    const end = this.#dialect.frameEnd(bytes, 0);
    if (end === 0) return;
    const frame = bytes.subarray(0, end);
    const kind = this.#dialect.kindOf(frame);
    if (kind === "greeting") this.#greeted.resolve();
    else if (kind === "refusal") {
      this.#greeted.reject(new Error(`the server says ${this.#dialect.refusalReason(frame)}`));
    } else this.#greeted.reject(new Error("the server's first word is no greeting"));
  }

  onDrain(): void {
    this.#drained.resolve();
  }

  onEnd(): void {
    this.#connection.close();
  }

  onClose(): void {
    this.#greeted.reject(new Error("the server closed the connection"));
  }
}
