import { CHUNK_OVERHEAD_BYTES } from "../limits/costs.ts";
import type { MemoryBudget } from "./memory_budget.ts";
import { toMessages } from "./messages.ts";

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
  /** The same for WebSockets, if it was asked for. It's held as long as this chunk is. */
  #messages: SharedChunk | undefined;

  constructor(bytes: Uint8Array, budget: MemoryBudget, whole?: SharedChunk) {
    this.bytes = bytes;
    this.#budget = budget;
    this.#whole = whole;
  }

  /** A chunk of the same memory from byte `start` to byte `end`. */
  slice(start: number, end: number): SharedChunk {
    return new SharedChunk(this.bytes.subarray(start, end), this.#budget, this);
  }

  /**
   * The same bytes as whole WebSocket messages. They are made when they are first asked for, and shared like
   * these. A chunk that is only stored doesn't keep them.
   */
  asMessages(): SharedChunk {
    if (this.#messages !== undefined) return this.#messages;
    const messages = new SharedChunk(toMessages(this.bytes), this.#budget);
    if (this.#holders > 0) messages.retain();
    else if (this.#isStored) return messages;
    return this.#messages = messages;
  }

  /** Adds a holder: an outbox, or the pass that delivers it. */
  retain(): void {
    if (this.#holders++ > 0) return;
    this.#messages?.retain();
    if (this.#whole !== undefined) return this.#whole.retain();
    if (this.#isStored) this.#budget.countHistory(-this.#costBytes);
    this.#budget.hold(this.#costBytes);
  }

  /** Removes a holder. Call it once for each {@linkcode retain}. */
  release(): void {
    if (--this.#holders > 0) return;
    if (this.#messages !== undefined) this.#releaseMessages();
    if (this.#whole !== undefined) return this.#whole.release();
    this.#budget.release(this.#costBytes);
    if (this.#isStored) this.#budget.countHistory(this.#costBytes);
  }

  /** Stores it in a history, once, until {@linkcode discard}. While it has holders it counts as theirs. */
  store(): void {
    this.#isStored = true;
    if (this.#holders > 0) return;
    this.#messages = undefined;
    this.#budget.countHistory(this.#costBytes);
  }

  /** Ends {@linkcode store}. */
  discard(): void {
    this.#isStored = false;
    if (this.#holders === 0) this.#budget.countHistory(-this.#costBytes);
  }

  #releaseMessages(): void {
    this.#messages?.release();
    if (this.#isStored) this.#messages = undefined;
  }

  get #costBytes(): number {
    return this.bytes.byteLength + CHUNK_OVERHEAD_BYTES;
  }
}
