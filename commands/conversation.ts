import { ChunkWriter } from "../bots/client/chunk_writer.ts";
import { EnvironmentError } from "../cli/command_line.ts";
import { encodeAuthenticate, PONG } from "../protocol/client_encoder.ts";
import { ServerDecoder } from "../protocol/server_decoder.ts";
import type { Connection, ConnectionHandler, Runtime } from "../runtime/types.ts";
import type { ServerOptions } from "./server_options.ts";

/** Milliseconds for the connect, and again for each answer that the server owes. */
const PATIENCE_MS = 30_000;

/** Far more than a server lets pass unless it is told to. */
const MAX_FRAME_BYTES = 128 * 1024 * 1024;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** A connection to a server, as a client of today has it, from its greeting on. */
export class Conversation implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #writer: ChunkWriter;
  readonly #decoder = new ServerDecoder({ maxFrameBytes: MAX_FRAME_BYTES });
  readonly #greeted = Promise.withResolvers<void>();
  /** Those that wait for an `ACK`, the first one first. */
  readonly #awaited: PromiseWithResolvers<void>[] = [];
  readonly #ended = Promise.withResolvers<never>();
  #isGreeted = false;
  #onMessage: (frame: string) => void = () => {};

  private constructor(connection: Connection) {
    this.#connection = connection;
    this.#writer = new ChunkWriter(connection);
    // Frames wait here until the caller asks for them.
    this.#greeted.promise.catch(() => {});
    this.#ended.promise.catch(() => {});
  }

  /**
   * Connects, and shows the server the keys.
   *
   * @param onMessage Receives each frame that isn't an answer, without its terminator: messages, receipts.
   * @throws {EnvironmentError} (rejects) if the server refuses the connection or a key, or doesn't answer.
   * @throws {TransportError} (rejects) if it can't be reached.
   */
  static async open(
    runtime: Runtime,
    { hostname, port, tls, keys }: ServerOptions,
    onMessage: (frame: string) => void,
  ): Promise<Conversation> {
    let conversation: Conversation | undefined;
    await runtime.connect({
      transport: "tcp",
      hostname,
      port,
      timeoutMs: PATIENCE_MS,
      ...tls === undefined ? {} : { tls },
    }, (connection) => conversation = new Conversation(connection));
    const opened = conversation as unknown as Conversation;
    opened.#onMessage = onMessage;
    await opened.answered(opened.#greeted.promise);
    for (const key of keys) await opened.ask(encodeAuthenticate(key));
    return opened;
  }

  /** Rejects when the connection ends, with the reason. */
  get ended(): Promise<never> {
    return this.#ended.promise;
  }

  /** Sends frames. They must not be changed any more. */
  send(frames: Uint8Array): void {
    this.#writer.send(frames);
  }

  /** Sends a request, and waits for its `ACK`. */
  async ask(request: Uint8Array): Promise<void> {
    const acknowledged = Promise.withResolvers<void>();
    this.#awaited.push(acknowledged);
    this.send(request);
    await this.answered(acknowledged.promise);
  }

  /**
   * Waits for an answer of the server.
   *
   * @throws {EnvironmentError} (rejects) if the connection ends, or the answer takes too long.
   */
  async answered<Answer>(answer: Promise<Answer>): Promise<Answer> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      const error = new EnvironmentError(`the server hasn't answered for ${PATIENCE_MS / 1000} s`);
      timer = setTimeout(() => reject(error), PATIENCE_MS);
    });
    try {
      return await Promise.race([answer, this.ended, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the connection in order. */
  close(): void {
    this.#connection.close();
  }

  onData(chunk: Uint8Array): void {
    try {
      this.#decoder.push(chunk, (frame) => this.#onFrame(utf8.decode(frame)));
    } catch (cause) {
      if (cause instanceof EnvironmentError) this.#ended.reject(cause);
      else this.#end(`the server doesn't speak Janus's protocol: ${(cause as Error).message}`);
      this.#connection.destroy();
    }
  }

  onDrain(): void {
    this.#writer.onDrain();
  }

  onEnd(): void {
    this.#end("the server closed the connection");
    this.#connection.close();
  }

  onClose(): void {
    this.#end("the connection is lost");
  }

  #onFrame(frame: string): void {
    if (frame === "PING") return this.send(PONG);
    if (frame === "ACK") return this.#awaited.shift()?.resolve();
    const error = /^\{"timestamp":\[[\d,]+\],"error":/.test(frame)
      ? (JSON.parse(frame) as { error: { code: string; message: string } }).error
      : undefined;
    if (error !== undefined) this.#end(`the server says ${error.code}: ${error.message}`);
    else if (this.#isGreeted) this.#onMessage(frame);
    else {
      this.#isGreeted = true;
      this.#greeted.resolve();
    }
  }

  /** The first reason counts. */
  #end(why: string): void {
    this.#ended.reject(new EnvironmentError(why));
  }
}
