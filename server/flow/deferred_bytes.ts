import { Fifo } from "../timing/fifo.ts";

/** Bytes of one connection that are kept in one buffer, at most. */
export const PIECE_BYTES: number = 64 * 1024;

/** Stands among deferred bytes where a message of a WebSocket ends. It counts as one byte. */
export const MESSAGE_END: Uint8Array = new Uint8Array(1);

/** Chunks that have arrived on a connection and wait to be read, in order. */
export class DeferredBytes extends Fifo<Uint8Array> {
  /** The rest of a chunk that was read in part, in front of the others. */
  #rest: Uint8Array | undefined;

  /** Adds a copy of a chunk, in pieces, so that the memory of a piece is freed once it's read. */
  add(chunk: Uint8Array): void {
    for (let start = 0; start < chunk.byteLength; start += PIECE_BYTES) {
      this.push(chunk.slice(start, start + PIECE_BYTES));
    }
  }

  /** Takes the first chunk, if there is one. */
  take(): Uint8Array | undefined {
    const chunk = this.#rest ?? this.shift();
    this.#rest = undefined;
    return chunk;
  }

  /** Puts back what wasn't read of the chunk that was taken last. */
  putBack(rest: Uint8Array): void {
    this.#rest = rest;
  }
}
