/**
 * The beginning of a frame whose rest hasn't arrived.
 *
 * @module
 */

/** Holds most frames whole, so that a frame which comes in two pieces costs one allocation. */
const FIRST_CAPACITY_BYTES = 256;

/** A buffer that grows by doubling, up to the frame limit. */
export class PartialFrame {
  readonly #maxBytes: number;
  #bytes: Uint8Array;
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#bytes = new Uint8Array(Math.min(FIRST_CAPACITY_BYTES, maxBytes));
  }

  /** The frame's bytes, up to {@linkcode length}. Another array after {@linkcode append}. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes of memory held. */
  get capacity(): number {
    return this.#bytes.length;
  }

  /**
   * Copies `chunk` from `from` to `to` behind what is there.
   *
   * @throws {RangeError} beyond the limit.
   */
  append(chunk: Uint8Array, from: number, to: number): void {
    const length = this.#length + (to - from);
    if (length > this.#maxBytes) {
      throw new RangeError(`A partial frame of ${length} bytes, limit ${this.#maxBytes}`);
    }
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(
        Math.min(this.#maxBytes, Math.max(length, 2 * this.#bytes.length)),
      );
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(
      from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to),
      this.#length,
    );
    this.#length = length;
  }
}
