/**
 * Reuses memory for frames that arrive in pieces. If clients begin frames and never finish them, a new
 * buffer for each would make garbage faster than a runtime collects it.
 *
 * @module
 */

/** The smallest buffer holds most frames whole: one that comes in two pieces takes one buffer. */
const MIN_EXPONENT = 8;

/** Buffers of more than 1 MiB are rare; they aren't kept, and their size isn't rounded up. */
const MAX_EXPONENT = 20;
const MAX_KEPT_BYTES = 2 ** MAX_EXPONENT;

/** Buffers of one size. */
class Shelf {
  /** Free buffers. The last one returned is lent first, so that those at the other end may be dropped. */
  readonly free: Uint8Array[] = [];
  /** The fewest free buffers since the last {@linkcode BufferPool.trim}: so many weren't needed. */
  fewestFree = 0;
}

/**
 * Lends buffers whose sizes are powers of two. One pool may serve all decoders of a process: a buffer
 * belongs to one decoder at a time. It still holds the bytes of its last owner when it's lent again.
 */
export class BufferPool {
  readonly #maxBytes: number;
  readonly #shelves: Shelf[] = [];
  #lentBytes = 0;
  #keptBytes = 0;

  /**
   * @param maxBytes The most bytes of lent and kept buffers together. Lending is never refused; only
   * fewer buffers are kept then, or none.
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

  /** Lends a buffer of at least that many bytes. Its content is undefined. */
  take(byteLength: number): Uint8Array {
    const buffer = this.#takeKept(byteLength);
    this.#lentBytes += buffer.byteLength;
    return buffer;
  }

  /** Takes back a lent buffer. The caller must not touch it any more. */
  giveBack(buffer: Uint8Array): void {
    const { byteLength } = buffer;
    this.#lentBytes -= byteLength;
    if (byteLength > MAX_KEPT_BYTES) return;
    if (this.#lentBytes + this.#keptBytes + byteLength > this.#maxBytes) return;
    this.#keptBytes += byteLength;
    const shelf = this.#shelves[exponentFor(byteLength) - MIN_EXPONENT] ??= new Shelf();
    shelf.free.push(buffer);
  }

  /** Drops half of the buffers that weren't needed since the last call. Call it about once a second. */
  trim(): void {
    this.#shelves.forEach((shelf, index) => {
      const excess = Math.ceil(shelf.fewestFree / 2);
      shelf.free.length -= excess;
      this.#keptBytes -= excess * 2 ** (index + MIN_EXPONENT);
      shelf.fewestFree = shelf.free.length;
    });
  }

  /** Drops all kept buffers. */
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

/** A pool that keeps nothing: each buffer is new. */
export const NEW_BUFFERS: BufferPool = new BufferPool(0);

function exponentFor(byteLength: number): number {
  return Math.max(MIN_EXPONENT, Math.ceil(Math.log2(byteLength)));
}
