import {
  DEFERRED_SHARE,
  MIN_STANDING_BYTES,
  RELAXED_BUDGET_SHARE,
  RELAXED_INPUT_SHARE,
  RELAXED_STANDING_SHARE,
  STANDING_SHARE,
  TIGHT_BUDGET_SHARE,
  UNFINISHED_CRITICAL_SHARE,
  UNFINISHED_TIGHT_SHARE,
} from "../limits.ts";

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
 * message yet is counted apart, with shares of its own. So is what stands for as long as a client is
 * subscribed: it leaves the others what it doesn't take, and half of the limit at least.
 */
export class MemoryBudget {
  /** The limit in bytes. */
  readonly maxBytes: number;
  readonly #events: BudgetEvents;
  readonly #maxStandingBytes: number;
  #outputBytes = 0;
  #unfinishedBytes = 0;
  #deferredBytes = 0;
  #standingBytes = 0;
  /** What is left for all but what stands. */
  #freeBytes: number;
  #isTight = false;
  #isInputCritical = false;

  constructor(maxBytes: number, events: BudgetEvents) {
    this.maxBytes = this.#freeBytes = maxBytes;
    this.#maxStandingBytes = Math.max(maxBytes * STANDING_SHARE, MIN_STANDING_BYTES);
    this.#events = events;
  }

  /** The bytes held now, but for what stands. */
  get heldBytes(): number {
    return this.#outputBytes + this.#unfinishedBytes + this.#deferredBytes;
  }

  /** Bytes that subscriptions and topics hold. */
  get standingBytes(): number {
    return this.#standingBytes;
  }

  /** Bytes that wait for readers. */
  get outputBytes(): number {
    return this.#outputBytes;
  }

  /** Whether more than half of what there is room for is held. */
  get isHalfFull(): boolean {
    return this.heldBytes * 2 > this.#freeBytes;
  }

  /** Whether what waits for readers takes more than half of what there is room for. */
  get isHalfFullOfOutput(): boolean {
    return this.#outputBytes * 2 > this.#freeBytes;
  }

  /** Whether subscriptions and topics hold more than they may. */
  get isStandingFull(): boolean {
    return this.#standingBytes > this.#maxStandingBytes;
  }

  /** Whether they hold nearly so much: what is taken from them is taken until they don't. */
  get isStandingTight(): boolean {
    return this.#standingBytes > this.#maxStandingBytes * RELAXED_STANDING_SHARE;
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
    return this.heldBytes > this.#freeBytes;
  }

  /** Bytes of frames that aren't complete. */
  get unfinishedBytes(): number {
    return this.#unfinishedBytes;
  }

  /** Whether frames that take long to come can't be kept any more. */
  get isUnfinishedTight(): boolean {
    return this.#unfinishedBytes > this.#freeBytes * UNFINISHED_TIGHT_SHARE;
  }

  /** What frames of one address may hold that take long to come, where others hold some too: half. */
  get unfinishedBytesPerSite(): number {
    return this.#freeBytes * UNFINISHED_TIGHT_SHARE / 2;
  }

  /** Whether frames that aren't complete hold more than all of them may. */
  get isUnfinishedCritical(): boolean {
    return this.#unfinishedBytes > this.#freeBytes * UNFINISHED_CRITICAL_SHARE;
  }

  /** True from the moment in which more input is held than may until it's well below that again. */
  get isInputCritical(): boolean {
    return this.#isInputCritical;
  }

  /** Counts bytes that wait for readers. */
  hold(bytes: number): void {
    this.#outputBytes += bytes;
    this.#judgeOutput();
  }

  release(bytes: number): void {
    this.#outputBytes -= bytes;
    if (this.#isTight) this.#judgeOutput();
  }

  /** Counts bytes that a subscription or a topic holds as long as it's there; negative when it has gone. */
  countStanding(bytes: number): void {
    this.#standingBytes += bytes;
    // Never less than half: nobody who waits may wait for subscriptions to end.
    this.#freeBytes = Math.max(this.maxBytes - this.#standingBytes, this.maxBytes / 2);
    this.#judgeOutput();
    this.#judgeInput();
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

  #judgeOutput(): void {
    if (this.#isTight) {
      if (this.#outputBytes >= this.#freeBytes * RELAXED_BUDGET_SHARE) return;
      this.#isTight = false;
      this.#events.onRelaxed?.();
    } else if (this.#outputBytes > this.#freeBytes * TIGHT_BUDGET_SHARE) {
      this.#isTight = true;
      this.#events.onTight?.();
    }
  }

  #judgeInput(): void {
    if (this.#isInputCritical) {
      const inputBytes = this.#unfinishedBytes + this.#deferredBytes;
      if (inputBytes >= this.#freeBytes * RELAXED_INPUT_SHARE) return;
      this.#isInputCritical = false;
      this.#events.onInputRelaxed?.();
    } else if (
      this.isUnfinishedCritical || this.#deferredBytes > this.#freeBytes * DEFERRED_SHARE
    ) {
      this.#isInputCritical = true;
      this.#events.onInputCritical?.();
    }
  }
}
