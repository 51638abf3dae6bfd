import { CHUNK_OVERHEAD_BYTES } from "../limits.ts";
import type { MemoryBudget } from "./memory_budget.ts";

/**
 * Bytes on their way to one or many connections, counted in the budget once, from the first outbox
 * that keeps them to the last that has sent them. The bytes are never written to again.
 *
 * It always ends on a frame boundary.
 */
export class SharedChunk {
  readonly bytes: Uint8Array;
  readonly #budget: MemoryBudget;
  /** The chunk whose memory this one looks into; it's kept while this one is. */
  readonly #whole: SharedChunk | undefined;
  #holders = 0;

  constructor(bytes: Uint8Array, budget: MemoryBudget, whole?: SharedChunk) {
    this.bytes = bytes;
    this.#budget = budget;
    this.#whole = whole;
  }

  /** A chunk of the same memory from byte `start` to byte `end`. */
  slice(start: number, end: number): SharedChunk {
    return new SharedChunk(this.bytes.subarray(start, end), this.#budget, this);
  }

  /** One more holder: an outbox, or the pass that hands it out. */
  retain(): void {
    if (this.#holders++ > 0) return;
    if (this.#whole !== undefined) this.#whole.retain();
    else this.#budget.hold(this.bytes.byteLength + CHUNK_OVERHEAD_BYTES);
  }

  /** One holder less. Each {@linkcode retain} is answered by one of these. */
  release(): void {
    if (--this.#holders > 0) return;
    if (this.#whole !== undefined) this.#whole.release();
    else this.#budget.release(this.bytes.byteLength + CHUNK_OVERHEAD_BYTES);
  }
}
