import type { Connection } from "../../runtime/types.ts";

/** Sends chunks in order, and waits between two while the connection hasn't taken the first. */
export class ChunkWriter {
  readonly #connection: Connection;
  readonly #waiting: Uint8Array[] = [];
  #isWriting = false;
  #isClosing = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Sends `chunk`, or keeps it until the chunks before it are sent. The caller must not change it any
   * more.
   */
  send(chunk: Uint8Array): void {
    if (this.#isWriting) this.#waiting.push(chunk);
    else this.#isWriting = !this.#connection.write(chunk);
  }

  /** True when all chunks are sent. */
  get isIdle(): boolean {
    return !this.#isWriting;
  }

  /** The connection's handler must call this from its own `onDrain`. */
  onDrain(): void {
    this.#isWriting = false;
    while (!this.#isWriting && this.#waiting.length > 0) this.send(this.#waiting.shift()!);
    if (this.#isClosing && this.#waiting.length === 0) this.#connection.close();
  }

  /** Closes the connection after the last chunk is sent. */
  close(): void {
    this.#isClosing = true;
    if (this.#waiting.length === 0) this.#connection.close();
  }
}
