import { RELAXED_BUDGET_SHARE, TIGHT_BUDGET_SHARE } from "./limits.ts";

/**
 * Counts the bytes of memory that connections make the process hold, each buffer once however many
 * connections share it, and tells when they come near the limit.
 */
export class MemoryBudget {
  /** The limit in bytes. */
  readonly maxBytes: number;
  readonly #tightBytes: number;
  readonly #relaxedBytes: number;
  readonly #onTight: () => void;
  #heldBytes = 0;
  #isTight = false;

  /**
   * @param onTight Called when the held bytes pass three quarters of the limit, from inside
   * {@linkcode hold}: it must only take note.
   */
  constructor(maxBytes: number, onTight: () => void) {
    this.maxBytes = maxBytes;
    this.#tightBytes = maxBytes * TIGHT_BUDGET_SHARE;
    this.#relaxedBytes = maxBytes * RELAXED_BUDGET_SHARE;
    this.#onTight = onTight;
  }

  /** The bytes held now. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** True from passing three quarters of the limit until well below it again. */
  get isTight(): boolean {
    return this.#isTight;
  }

  /** True while the bytes held are more than the limit. */
  get isExceeded(): boolean {
    return this.#heldBytes > this.maxBytes;
  }

  hold(bytes: number): void {
    this.#heldBytes += bytes;
    if (this.#heldBytes > this.#tightBytes && !this.#isTight) {
      this.#isTight = true;
      this.#onTight();
    }
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes;
    if (this.#isTight && this.#heldBytes < this.#relaxedBytes) this.#isTight = false;
  }
}
