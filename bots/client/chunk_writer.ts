import type { Connection } from "../../runtime/types.ts";

/** Sends what it's given in order, one chunk after another, as a connection wants it. */
export class ChunkWriter {
  readonly #connection: Connection;
  readonly #waiting: Uint8Array[] = [];
  #isWriting = false;
  #isClosing = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Sends `chunk`, or keeps it until what was sent before is gone. It must not be changed any more. */
  send(chunk: Uint8Array): void {
    if (this.#isWriting) this.#waiting.push(chunk);
    else this.#isWriting = !this.#connection.write(chunk);
  }

  /** Whether all is sent. */
  get isIdle(): boolean {
    return !this.#isWriting;
  }

  /** To be called when the connection says so. */
  onDrain(): void {
    this.#isWriting = false;
    while (!this.#isWriting && this.#waiting.length > 0) this.send(this.#waiting.shift()!);
    if (this.#isClosing && this.#waiting.length === 0) this.#connection.close();
  }

  /** Closes the connection behind what is to be sent. */
  close(): void {
    this.#isClosing = true;
    if (this.#waiting.length === 0) this.#connection.close();
  }
}
