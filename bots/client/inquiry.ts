/**
 * Asks a server why it refuses a subscription or a message.
 *
 * @module
 */

import {
  type Connection,
  type ConnectionHandler,
  type Runtime,
  TransportError,
} from "../../runtime/types.ts";
import { ChunkWriter } from "./chunk_writer.ts";
import type { Dialect } from "../dialects/dialect.ts";
import { Dialler, endpoint, type Port } from "./endpoint.ts";
import { FrameReader } from "./frame_reader.ts";

/**
 * Milliseconds to wait for an answer. A server refuses at once, and it doesn't answer a message that it
 * accepts.
 */
const PATIENCE_MS = 3000;

/**
 * Opens one more connection and asks again for a subscription, or to publish. A Janus server closes the
 * connection of a client of 2009 without a word, but tells a client of today why.
 *
 * @returns the server's refusal; `null` if it accepted, said nothing or couldn't be reached, or if the
 * dialect already told the bots every reason.
 */
export async function ask(
  runtime: Runtime,
  dialect: Dialect,
  hostname: string,
  place: Port,
  what: "subscribe" | "publish",
): Promise<string | null> {
  const { inquiry } = dialect;
  if (inquiry === null) return null;
  const asked = { opening: inquiry.opening, words: inquiry[what] };
  const answer = Promise.withResolvers<string | null>();
  const timer = setTimeout(() => answer.resolve(null), PATIENCE_MS);
  let connection: Connection | undefined;
  try {
    connection = await new Dialler(runtime, dialect).connect(
      endpoint(hostname, place, PATIENCE_MS),
      (connection) => new Inquirer(dialect, connection, asked, answer.resolve),
    );
    return await answer.promise;
  } catch (error) {
    if (error instanceof TransportError) return null;
    throw error;
  } finally {
    clearTimeout(timer);
    connection?.destroy();
  }
}

class Inquirer implements ConnectionHandler {
  readonly #dialect: Dialect;
  readonly #connection: Connection;
  readonly #reader: FrameReader;
  readonly #writer: ChunkWriter;
  readonly #words: Uint8Array;
  readonly #onAnswer: (answer: string | null) => void;
  #acknowledgements = 0;

  constructor(
    dialect: Dialect,
    connection: Connection,
    { opening, words }: { readonly opening: Uint8Array; readonly words: Uint8Array },
    onAnswer: (answer: string | null) => void,
  ) {
    this.#dialect = dialect;
    this.#connection = connection;
    this.#reader = new FrameReader(dialect);
    this.#writer = new ChunkWriter(connection);
    this.#words = words;
    this.#onAnswer = onAnswer;
    this.#writer.send(opening);
  }

  onData(chunk: Uint8Array): void {
    for (const frame of this.#reader.push(chunk)) {
      const kind = this.#dialect.kindOf(frame);
      if (kind === "refusal") this.#onAnswer(this.#dialect.refusalText(frame));
      else if (kind === "acknowledgement") this.#onAcknowledgement();
      else if (kind === "greeting") this.#writer.send(this.#words);
    }
  }

  #onAcknowledgement(): void {
    if (++this.#acknowledgements === this.#dialect.acknowledgements) this.#onAnswer(null);
  }

  onDrain(): void {
    this.#writer.onDrain();
  }

  onEnd(): void {
    this.#connection.close();
  }

  onClose(): void {
    this.#onAnswer(null);
  }
}
