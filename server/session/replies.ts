import { MAX_RECEIPT_BYTES, type ReceiptCounts, writeReceipt } from "../../protocol/encoder.ts";

/** Bytes of the first buffer; the replies to one piece of a client's input rarely take more. */
const INITIAL_BYTES = 8 * 1024;

/**
 * Joins the replies to one piece of a client's input into one write, so that a flood of small requests
 * doesn't cost a write and a chunk each. One object serves all connections: one is answered at a time.
 */
export class Replies {
  #owner: object | undefined;
  /** The first reply; it's copied only if another one follows. */
  #only: Uint8Array | undefined;
  #buffer = new Uint8Array(INITIAL_BYTES);
  #length = 0;

  /**
   * Collects the replies for a connection until {@linkcode end}.
   *
   * @returns False if replies are being collected already, for this connection or another.
   */
  begin(connection: object): boolean {
    if (this.#owner !== undefined) return false;
    this.#owner = connection;
    return true;
  }

  /** True if the replies for this connection are being collected. */
  isFor(connection: object): boolean {
    return this.#owner === connection;
  }

  /** Stops collecting. What was collected must have been taken before. */
  end(): void {
    this.#owner = undefined;
  }

  /** Adds a frame, which the caller must not write to any more. */
  append(frame: Uint8Array): void {
    if (this.#length === 0 && this.#only === undefined) {
      this.#only = frame;
      return;
    }
    this.#makeRoom(frame.byteLength);
    this.#buffer.set(frame, this.#length);
    this.#length += frame.byteLength;
  }

  /** Adds a receipt; `micros` is the message's timestamp in microseconds since the Unix epoch. */
  appendReceipt(micros: number, counts: ReceiptCounts): void {
    this.#makeRoom(MAX_RECEIPT_BYTES);
    this.#length = writeReceipt(this.#buffer, this.#length, micros, counts);
  }

  /** Takes the collected replies, in a buffer that is never written to again; `undefined` if none. */
  take(): Uint8Array | undefined {
    const only = this.#only;
    this.#only = undefined;
    if (only !== undefined) return only;
    if (this.#length === 0) return undefined;
    const bytes = this.#buffer.slice(0, this.#length);
    this.#length = 0;
    return bytes;
  }

  #makeRoom(bytes: number): void {
    const only = this.#only;
    this.#only = undefined;
    const needed = this.#length + bytes + (only?.byteLength ?? 0);
    if (needed > this.#buffer.byteLength) {
      const buffer = new Uint8Array(needed * 2);
      buffer.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = buffer;
    }
    if (only === undefined) return;
    this.#buffer.set(only, this.#length);
    this.#length += only.byteLength;
  }
}
