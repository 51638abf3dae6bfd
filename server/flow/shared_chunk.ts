import { CHUNK_OVERHEAD_BYTES } from "../limits.ts";
import type { MemoryBudget } from "./memory_budget.ts";

/**
 * Bytes for one or many connections. The budget counts them once, from the moment when the first outbox
 * keeps them until the last one has sent them. The bytes never change.
 *
 * It always ends on a frame boundary.
 */
export class SharedChunk {
  readonly bytes: Uint8Array;
  readonly #budget: MemoryBudget;
  /** The chunk whose memory this one shares; it is kept as long as this one. */
  readonly #whole: SharedChunk | undefined;
  #holders = 0;
  #isStored = false;

  constructor(bytes: Uint8Array, budget: MemoryBudget, whole?: SharedChunk) {
    this.bytes = bytes;
    this.#budget = budget;
    this.#whole = whole;
  }

  /** A chunk of the same memory from byte `start` to byte `end`. */
  slice(start: number, end: number): SharedChunk {
    return new SharedChunk(this.bytes.subarray(start, end), this.#budget, this);
  }

  /** Adds a holder: an outbox, or the pass that delivers it. */
  retain(): void {
    if (this.#holders++ > 0) return;
    if (this.#whole !== undefined) return this.#whole.retain();
    if (this.#isStored) this.#budget.countHistory(-this.#costBytes);
    this.#budget.hold(this.#costBytes);
  }

  /** Removes a holder. Call it once for each {@linkcode retain}. */
  release(): void {
    if (--this.#holders > 0) return;
    if (this.#whole !== undefined) return this.#whole.release();
    this.#budget.release(this.#costBytes);
    if (this.#isStored) this.#budget.countHistory(this.#costBytes);
  }

  /** Stores it in a history, once, until {@linkcode discard}. While it has holders it counts as theirs. */
  store(): void {
    this.#isStored = true;
    if (this.#holders === 0) this.#budget.countHistory(this.#costBytes);
  }

  /** Ends {@linkcode store}. */
  discard(): void {
    this.#isStored = false;
    if (this.#holders === 0) this.#budget.countHistory(-this.#costBytes);
  }

  get #costBytes(): number {
    return this.bytes.byteLength + CHUNK_OVERHEAD_BYTES;
  }
}
