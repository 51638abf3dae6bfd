/**
 * One direction of a connection in memory.
 *
 * @module
 */

/** One end of a connection in memory, which acts when the loop says so. */
export interface End {
  /** Takes what has arrived, sends what fits, tells the owner. */
  poll(): void;
}

/** The parts of the loop that both ends use. */
export interface Loop {
  /** Polls `end` in the next turn; once, however often it is said. */
  mark(end: End): void;
}

/** The bytes that the kernel holds between one end's writes and the other's reads. */
export class Pipe {
  readonly #loop: Loop;
  readonly #chunks: Uint8Array[] = [];
  #size = 0;
  #capacity: number;
  /** The writer has sent FIN: what is in here is the last. */
  ended = false;
  /** The connection was aborted: what is in here can still be read, then there is an RST. */
  broken = false;
  writer!: End;
  reader!: End;

  constructor(loop: Loop, capacity: number) {
    this.#loop = loop;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#size;
  }

  get capacity(): number {
    return this.#capacity;
  }

  set capacity(bytes: number) {
    this.#capacity = bytes;
    this.#loop.mark(this.writer);
  }

  /** Takes as much of `bytes` as there is room for, and says how much that was. */
  put(bytes: Uint8Array): number {
    if (this.broken) return 0;
    const count = Math.min(bytes.length, Math.max(0, this.#capacity - this.#size));
    if (count === 0) return 0;
    this.#chunks.push(bytes.slice(0, count));
    this.#size += count;
    this.#loop.mark(this.reader);
    return count;
  }

  /** Moves up to `into.length` bytes into `into`, and says how many. */
  take(into: Uint8Array): number {
    let count = 0;
    while (count < into.length && this.#chunks.length > 0) {
      const chunk = this.#chunks[0]!;
      const part = chunk.subarray(0, into.length - count);
      into.set(part, count);
      count += part.length;
      if (part.length === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(part.length);
    }
    return this.#took(count);
  }

  /** Throws everything away, and says how much it was. */
  clear(): number {
    this.#chunks.length = 0;
    return this.#took(this.#size);
  }

  #took(count: number): number {
    this.#size -= count;
    if (count > 0) this.#loop.mark(this.writer);
    return count;
  }

  end(): void {
    this.ended = true;
    this.#loop.mark(this.reader);
  }

  /** Aborts: the reader will hear of it behind its data, the writer by writing. */
  break(): void {
    this.broken = true;
    this.#loop.mark(this.reader);
    this.#loop.mark(this.writer);
  }
}
