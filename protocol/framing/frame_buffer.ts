/**
 * The beginning of a frame whose rest hasn't arrived.
 *
 * @module
 */

import { type BufferPool, NEW_BUFFERS } from "./buffer_pool.ts";

/** Collects the pieces of a frame in one buffer, which grows by doubling: each byte is moved once more. */
export class FrameBuffer {
  readonly #maxBytes: number;
  readonly #pool: BufferPool;
  #bytes: Uint8Array | undefined;
  #length = 0;

  /**
   * @param maxBytes The longest frame, in bytes.
   * @param pool Lends the memory, and gets it back with {@linkcode release}.
   */
  constructor(maxBytes: number, pool: BufferPool = NEW_BUFFERS) {
    this.#maxBytes = maxBytes;
    this.#pool = pool;
  }

  /**
   * The frame's bytes, up to {@linkcode length}; the bytes after that are undefined. {@linkcode append}
   * may replace the array; don't touch it after {@linkcode release}.
   */
  get bytes(): Uint8Array {
    return this.#bytes ?? EMPTY;
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes of memory held: less than twice the frame's, but 256 for a short one. */
  get capacity(): number {
    return this.#bytes?.length ?? 0;
  }

  /**
   * Copies `chunk` from `from` to `to` behind what is there.
   *
   * @throws {RangeError} if the frame gets longer than the limit.
   */
  append(chunk: Uint8Array, from: number, to: number): void {
    const length = this.#length + (to - from);
    if (length > this.#maxBytes) {
      throw new RangeError(`A partial frame of ${length} bytes, limit ${this.#maxBytes}`);
    }
    const bytes = this.#room(length);
    bytes.set(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to), this.#length);
    this.#length = length;
  }

  /** Drops the bytes from offset `length` on. */
  truncate(length: number): void {
    this.#length = length;
  }

  /** Makes room for a frame of known length, so that the buffer needn't grow. */
  reserve(length: number): void {
    this.#room(length);
  }

  /** Empties the buffer and returns its memory. Views of it are invalid from now on. */
  release(): void {
    if (this.#bytes !== undefined) this.#pool.giveBack(this.#bytes);
    this.#bytes = undefined;
    this.#length = 0;
  }

  #room(length: number): Uint8Array {
    const held = this.#bytes;
    if (held !== undefined && length <= held.length) return held;
    const doubled = Math.min(this.#maxBytes, 2 * (held?.length ?? 0));
    const grown = this.#pool.take(Math.max(length, doubled));
    if (held !== undefined) {
      grown.set(held.subarray(0, this.#length));
      this.#pool.giveBack(held);
    }
    return this.#bytes = grown;
  }
}

const EMPTY = new Uint8Array(0);
