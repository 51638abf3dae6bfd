import {
  DEFERRED_SHARE,
  RELAXED_BUDGET_SHARE,
  RELAXED_INPUT_SHARE,
  TIGHT_BUDGET_SHARE,
  UNFINISHED_CRITICAL_SHARE,
  UNFINISHED_TIGHT_SHARE,
} from "./limits.ts";

/** What a budget tells, from inside of what counts bytes: it must only be noted, or pause reading. */
export interface BudgetEvents {
  /** What waits for readers has passed three quarters of the limit. */
  onTight?(): void;
  /** It has fallen well below that again. */
  onRelaxed?(): void;
  /** More input is held than may. */
  onInputCritical?(): void;
  /** There is room for input again. */
  onInputRelaxed?(): void;
}

/**
 * Counts the bytes of memory that connections make the process hold, each buffer once however many
 * connections share it, and tells when they come near the limit. What clients have sent and isn't a
 * message yet is counted apart, with shares of its own.
 */
export class MemoryBudget {
  /** The limit in bytes. */
  readonly maxBytes: number;
  readonly #events: BudgetEvents;
  #outputBytes = 0;
  #unfinishedBytes = 0;
  #deferredBytes = 0;
  #isTight = false;
  #isInputCritical = false;

  constructor(maxBytes: number, events: BudgetEvents) {
    this.maxBytes = maxBytes;
    this.#events = events;
  }

  /** The bytes held now. */
  get heldBytes(): number {
    return this.#outputBytes + this.#unfinishedBytes + this.#deferredBytes;
  }

  /**
   * True from the moment in which what waits for readers passes three quarters of the limit until it's
   * well below that again. Input doesn't count: publishers wait for this to end, and must not wait for
   * what they hold themselves.
   */
  get isTight(): boolean {
    return this.#isTight;
  }

  /** True while the bytes held are more than the limit. */
  get isExceeded(): boolean {
    return this.heldBytes > this.maxBytes;
  }

  /** Bytes of frames that aren't complete. */
  get unfinishedBytes(): number {
    return this.#unfinishedBytes;
  }

  /** Whether frames that take long to come can't be kept any more. */
  get isUnfinishedTight(): boolean {
    return this.#unfinishedBytes > this.maxBytes * UNFINISHED_TIGHT_SHARE;
  }

  /** Whether frames that aren't complete hold more than all of them may. */
  get isUnfinishedCritical(): boolean {
    return this.#unfinishedBytes > this.maxBytes * UNFINISHED_CRITICAL_SHARE;
  }

  /** True from the moment in which more input is held than may until it's well below that again. */
  get isInputCritical(): boolean {
    return this.#isInputCritical;
  }

  /** Counts bytes that wait for readers. */
  hold(bytes: number): void {
    this.#outputBytes += bytes;
    if (this.#outputBytes > this.maxBytes * TIGHT_BUDGET_SHARE && !this.#isTight) {
      this.#isTight = true;
      this.#events.onTight?.();
    }
  }

  release(bytes: number): void {
    this.#outputBytes -= bytes;
    if (this.#isTight && this.#outputBytes < this.maxBytes * RELAXED_BUDGET_SHARE) {
      this.#isTight = false;
      this.#events.onRelaxed?.();
    }
  }

  /** Counts bytes that a frame which isn't complete holds more than before, or less. */
  countUnfinished(bytes: number): void {
    this.#unfinishedBytes += bytes;
    this.#judgeInput();
  }

  /** Counts bytes that arrived and wait to be read, more than before or less. */
  countDeferred(bytes: number): void {
    this.#deferredBytes += bytes;
    this.#judgeInput();
  }

  #judgeInput(): void {
    if (this.#isInputCritical) {
      const inputBytes = this.#unfinishedBytes + this.#deferredBytes;
      if (inputBytes >= this.maxBytes * RELAXED_INPUT_SHARE) return;
      this.#isInputCritical = false;
      this.#events.onInputRelaxed?.();
    } else if (
      this.isUnfinishedCritical || this.#deferredBytes > this.maxBytes * DEFERRED_SHARE
    ) {
      this.#isInputCritical = true;
      this.#events.onInputCritical?.();
    }
  }
}
