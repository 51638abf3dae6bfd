import { MAX_RECEIPT_BYTES, type ReceiptCounts, writeReceipt } from "../../protocol/encoder.ts";

/** The first buffer; a piece of what a client said rarely has more answers. */
const INITIAL_BYTES = 8 * 1024;

/**
 * Joins the answers to what one client said in one piece, so that a flood of small ones costs a write
 * and a chunk a piece, not one each. One object serves all connections: one is answered at a time.
 */
export class Replies {
  #owner: object | undefined;
  /** The answer that is alone so far; it's copied only where another one follows. */
  #only: Uint8Array | undefined;
  #buffer = new Uint8Array(INITIAL_BYTES);
  #length = 0;

  /**
   * Collects the answers for a connection until {@linkcode end}.
   *
   * @returns Whether it does: nothing where another connection's are being collected.
   */
  begin(connection: object): boolean {
    if (this.#owner !== undefined) return false;
    this.#owner = connection;
    return true;
  }

  /** Whether the answers for this connection are being collected. */
  isFor(connection: object): boolean {
    return this.#owner === connection;
  }

  /** Collects no more, once what was collected is taken. */
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

  /** Adds a receipt. */
  appendReceipt(micros: number, counts: ReceiptCounts): void {
    this.#makeRoom(MAX_RECEIPT_BYTES);
    this.#length = writeReceipt(this.#buffer, this.#length, micros, counts);
  }

  /** Takes what was collected, in a buffer that is never written to again; absent where that is nothing. */
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
