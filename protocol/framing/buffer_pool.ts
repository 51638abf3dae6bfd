/**
 * Memory for frames that arrive in pieces, used again and again: a buffer for each would be garbage
 * faster than a runtime collects it, where clients begin frames and never finish them.
 *
 * @module
 */

/** The smallest buffer holds most frames whole: one that comes in two pieces takes one buffer. */
const MIN_EXPONENT = 8;

/** Buffers of more than 1 MiB are rare, and neither kept nor rounded up. */
const MAX_EXPONENT = 20;
const MAX_KEPT_BYTES = 2 ** MAX_EXPONENT;

/** Buffers of one size. */
class Shelf {
  /** The one that came back last is lent first: those at the other end may be given up. */
  readonly free: Uint8Array[] = [];
  /** The fewest that were free since the last {@linkcode BufferPool.trim}: so many too many are kept. */
  fewestFree = 0;
}

/**
 * Lends buffers whose sizes are powers of two. One pool may serve all decoders of a process: a buffer
 * belongs to one of them at a time, and holds what its last owner wrote until the next one has.
 */
export class BufferPool {
  readonly #maxBytes: number;
  readonly #shelves: Shelf[] = [];
  #lentBytes = 0;
  #keptBytes = 0;

  /**
   * @param maxBytes Bytes that buffers which are lent and those that are kept for later may have
   * together. What is lent is never refused: only what is kept is less then, or nothing.
   */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes of the buffers that are lent. */
  get lentBytes(): number {
    return this.#lentBytes;
  }

  /** Bytes of the buffers that are kept for later. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** Lends a buffer of at least so many bytes. What stands in it is undefined. */
  take(byteLength: number): Uint8Array {
    const buffer = this.#takeKept(byteLength);
    this.#lentBytes += buffer.byteLength;
    return buffer;
  }

  /** Takes back a buffer that {@linkcode take} lent. Its owner must not touch it any more. */
  giveBack(buffer: Uint8Array): void {
    const { byteLength } = buffer;
    this.#lentBytes -= byteLength;
    if (byteLength > MAX_KEPT_BYTES) return;
    if (this.#lentBytes + this.#keptBytes + byteLength > this.#maxBytes) return;
    this.#keptBytes += byteLength;
    const shelf = this.#shelves[exponentFor(byteLength) - MIN_EXPONENT] ??= new Shelf();
    shelf.free.push(buffer);
  }

  /**
   * Gives half of what wasn't needed since it was last called to the runtime's collector. To be called
   * about once a second.
   */
  trim(): void {
    this.#shelves.forEach((shelf, index) => {
      const excess = Math.ceil(shelf.fewestFree / 2);
      shelf.free.length -= excess;
      this.#keptBytes -= excess * 2 ** (index + MIN_EXPONENT);
      shelf.fewestFree = shelf.free.length;
    });
  }

  /** Gives all that is kept to the runtime's collector. */
  clear(): void {
    this.#shelves.length = 0;
    this.#keptBytes = 0;
  }

  #takeKept(byteLength: number): Uint8Array {
    if (byteLength > MAX_KEPT_BYTES) return new Uint8Array(byteLength);
    const exponent = exponentFor(byteLength);
    const shelf = this.#shelves[exponent - MIN_EXPONENT];
    const buffer = shelf?.free.pop();
    if (shelf === undefined || buffer === undefined) return new Uint8Array(2 ** exponent);
    this.#keptBytes -= buffer.byteLength;
    shelf.fewestFree = Math.min(shelf.fewestFree, shelf.free.length);
    return buffer;
  }
}

/** Lends new buffers only, and keeps none. */
export const NEW_BUFFERS: BufferPool = new BufferPool(0);

function exponentFor(byteLength: number): number {
  return Math.max(MIN_EXPONENT, Math.ceil(Math.log2(byteLength)));
}
