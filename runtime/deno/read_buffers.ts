/**
 * Lends buffers to connections of a runtime whose reads need one while they wait.
 *
 * @module
 */

/**
 * The bytes of an idle connection's buffer. The frames of a subscriber that is mostly silent (`PONG`, a
 * subscribe) fit, and 20,000 buffers are 5 MB.
 */
const smallBytes = 256;

/** Small buffers are cut from slabs of this many: an `ArrayBuffer` of one's own costs more than 256 bytes. */
const smallPerSlab = 256;

/**
 * The bytes of a connection's buffer while data flows and large buffers are scarce. A peer can hold one
 * by sending just enough: 20,000 of them are 80 MB.
 */
const mediumBytes = 4 * 1024;

/** The bytes of a connection's buffer while data flows. */
const largeBytes = 64 * 1024;

/**
 * The most large buffers, 4 MiB together. Peers can hold these too, so their number is limited. While
 * half of them are lent, only a connection that has filled a medium buffer gets one.
 */
const maxLarge = 64;

/** Lends read buffers. No two borrowers share bytes. */
export class ReadBuffers {
  readonly #small: Uint8Array[] = [];
  readonly #medium: Uint8Array[] = [];
  readonly #large: Uint8Array[] = [];
  #largeMade = 0;

  /** Lends a small buffer to a waiting connection. Return it with {@linkcode giveBack}. */
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

  /** Exchanges a buffer for a larger one; returns the same if there is none. */
  larger(buffer: Uint8Array): Uint8Array {
    if (buffer.length === largeBytes) return buffer;
    const larger = this.#takeLarge(buffer.length) ?? this.#takeMedium(buffer.length);
    if (larger === undefined) return buffer;
    this.giveBack(buffer);
    return larger;
  }

  /** Exchanges a buffer for a small one; returns the same if it is small. */
  smaller(buffer: Uint8Array): Uint8Array {
    if (buffer.length === smallBytes) return buffer;
    this.giveBack(buffer);
    return this.small();
  }

  /** Frees all unused buffers but the small ones. */
  drop(): void {
    this.#largeMade -= this.#large.length;
    this.#large.length = this.#medium.length = 0;
  }

  /** Takes a buffer back. The caller must not use it any more. */
  giveBack(buffer: Uint8Array): void {
    if (buffer.length === largeBytes) this.#large.push(buffer);
    else if (buffer.length === mediumBytes) this.#medium.push(buffer);
    else this.#small.push(buffer);
  }

  #takeLarge(after: number): Uint8Array | undefined {
    const lent = this.#largeMade - this.#large.length;
    if (lent >= (after === mediumBytes ? maxLarge : maxLarge / 2)) return undefined;
    const buffer = this.#large.pop();
    if (buffer === undefined) this.#largeMade++;
    return buffer ?? new Uint8Array(largeBytes);
  }

  #takeMedium(after: number): Uint8Array | undefined {
    if (after === mediumBytes) return undefined;
    return this.#medium.pop() ?? new Uint8Array(mediumBytes);
  }
}
