/**
 * Buffers for a runtime whose reads need one while they wait.
 *
 * @module
 */

/**
 * How much an idle connection's read can take. The frames of a subscriber that is mostly silent
 * (`PONG`, a subscribe) fit, and 20,000 of them are 5 MB.
 */
const smallBytes = 256;

/** Small buffers are cut from slabs of this many: an `ArrayBuffer` of one's own costs more than 256 bytes. */
const smallPerSlab = 256;

/** What a connection reads with while data flows. */
const largeBytes = 64 * 1024;

/**
 * Large buffers in all, 4 MiB. Peers can hold on to one each by sending just enough and no more,
 * so there must be a bound; whoever comes later reads with the small one, which is slower but works.
 */
const maxLarge = 64;

/** Lends read buffers. No two borrowers share bytes. */
export class ReadBuffers {
  readonly #small: Uint8Array[] = [];
  readonly #large: Uint8Array[] = [];
  #largeMade = 0;

  /** A small buffer, for a connection that waits. Bring it back with {@linkcode giveBack}. */
  small(): Uint8Array {
    if (this.#small.length === 0) {
      const slab = new ArrayBuffer(smallBytes * smallPerSlab);
      for (let at = slab.byteLength; at > 0;) {
        at -= smallBytes;
        this.#small.push(new Uint8Array(slab, at, smallBytes));
      }
    }
    return this.#small.pop()!;
  }

  /**
   * The buffer to use after a read that left `filled` bytes in `buffer`: a large one when data
   * keeps coming, a small one when it doesn't. `buffer` itself where nothing changes; otherwise
   * it has been taken back.
   */
  next(buffer: Uint8Array, filled: number): Uint8Array {
    const isLarge = buffer.length === largeBytes;
    if (isLarge === (filled === buffer.length)) return buffer;
    let next: Uint8Array | undefined;
    if (isLarge) next = this.small();
    else if ((next = this.#large.pop()) === undefined) {
      if (this.#largeMade === maxLarge) return buffer;
      this.#largeMade++;
      next = new Uint8Array(largeBytes);
    }
    this.giveBack(buffer);
    return next;
  }

  /** Frees the large buffers that wait to be used. */
  drop(): void {
    this.#largeMade -= this.#large.length;
    this.#large.length = 0;
  }

  /** Takes a buffer back, which nobody may use any more. */
  giveBack(buffer: Uint8Array): void {
    (buffer.length === largeBytes ? this.#large : this.#small).push(buffer);
  }
}
