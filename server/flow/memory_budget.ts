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
} from "../limits/memory.ts";

/** Events of a budget, called while bytes are counted: they may only note it, or pause reading. */
export interface BudgetEvents {
  /** The bytes that wait for readers have passed three quarters of the limit. */
  onTight?(): void;
  /** They have fallen well below that again. */
  onRelaxed?(): void;
  /** The bytes of input have passed their limit. */
  onInputCritical?(): void;
  /** There is room for input again. */
  onInputRelaxed?(): void;
  /**
   * The history has too little room beside the bytes that wait for readers.
   *
   * @param bytes The bytes of the history that must be given up, now.
   */
  onHistoryTooLarge?(bytes: number): void;
}

/**
 * Counts the bytes of memory that the process holds for connections, each buffer once even if many
 * connections share it, and tells when they come near the limit. Bytes that clients have sent and that
 * aren't a message yet are counted apart, with limits of their own. So are the standing bytes, which a
 * subscription takes as long as it exists: the other bytes may take the rest, and at least half of the
 * limit.
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
  #historyBytes = 0;
  /** The bytes that are left beside the standing ones. */
  #freeBytes: number;
  #isTight = false;
  #areFramesCritical = false;
  #isDeferredCritical = false;

  constructor(maxBytes: number, events: BudgetEvents) {
    this.maxBytes = this.#freeBytes = maxBytes;
    this.#maxStandingBytes = Math.max(maxBytes * STANDING_SHARE, MIN_STANDING_BYTES);
    this.#events = events;
  }

  /** The bytes held now, without the standing ones. */
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

  /** Bytes that only the history holds. They take what the others leave, and are the first to be given up. */
  get historyBytes(): number {
    return this.#historyBytes;
  }

  /** True if more than half of the room is taken. */
  get isHalfFull(): boolean {
    return this.heldBytes * 2 > this.#freeBytes;
  }

  /** True if the bytes that wait for readers take more than half of the room. */
  get isHalfFullOfOutput(): boolean {
    return this.#outputBytes * 2 > this.#freeBytes;
  }

  /** True if subscriptions and topics hold more than they may. */
  get isStandingFull(): boolean {
    return this.#standingBytes > this.#maxStandingBytes;
  }

  /** True if they hold nearly as much as they may: eviction goes on until this is false. */
  get isStandingTight(): boolean {
    return this.#standingBytes > this.#maxStandingBytes * RELAXED_STANDING_SHARE;
  }

  /**
   * True from the moment when the bytes that wait for readers pass three quarters of the limit until they
   * are well below that again. Input doesn't count: publishers wait for this to end, and must not wait for
   * their own bytes.
   */
  get isTight(): boolean {
    return this.#isTight;
  }

  /** True while the bytes held are more than the limit. */
  get isExceeded(): boolean {
    return this.heldBytes > this.#freeBytes;
  }

  /** The bytes of incomplete frames. */
  get unfinishedBytes(): number {
    return this.#unfinishedBytes;
  }

  /** True if there is no room for incomplete frames that take long. */
  get isUnfinishedTight(): boolean {
    return this.#unfinishedBytes > this.#freeBytes * UNFINISHED_TIGHT_SHARE;
  }

  /** The most bytes of slow incomplete frames of one address while others have some too: half. */
  get unfinishedBytesPerSite(): number {
    return this.#freeBytes * UNFINISHED_TIGHT_SHARE / 2;
  }

  /**
   * True from the moment when incomplete frames hold more than all of them together may until they hold well
   * below that again.
   */
  get areFramesCritical(): boolean {
    return this.#areFramesCritical;
  }

  /** True while that is so, and likewise for the bytes that arrived and wait to be read. */
  get isInputCritical(): boolean {
    return this.#areFramesCritical || this.#isDeferredCritical;
  }

  /** Counts bytes that wait for readers. */
  hold(bytes: number): void {
    this.#outputBytes += bytes;
    if (this.#historyBytes > 0) this.#judgeHistory();
    this.#judgeOutput();
  }

  release(bytes: number): void {
    this.#outputBytes -= bytes;
    if (this.#isTight) this.#judgeOutput();
  }

  /** Counts the standing bytes of a subscription or a topic; negative when it ends. */
  countStanding(bytes: number): void {
    this.#standingBytes += bytes;
    // Never less than half: a publisher that waits must not wait for subscriptions to end.
    this.#freeBytes = Math.max(this.maxBytes - this.#standingBytes, this.maxBytes / 2);
    this.#judgeOutput();
    this.#judgeInput();
  }

  /** Changes the number of bytes of incomplete frames. */
  countUnfinished(bytes: number): void {
    this.#unfinishedBytes += bytes;
    this.#judgeInput();
  }

  /** Changes the number of bytes that arrived and wait to be read. */
  countDeferred(bytes: number): void {
    this.#deferredBytes += bytes;
    this.#judgeInput();
  }

  /** Counts bytes that only the history holds, more than before or less. */
  countHistory(bytes: number): void {
    this.#historyBytes += bytes;
    if (bytes > 0) this.#judgeHistory();
  }

  #judgeHistory(): void {
    const room = Math.max(0, this.#freeBytes * TIGHT_BUDGET_SHARE - this.heldBytes);
    if (this.#historyBytes <= room) return;
    this.#events.onHistoryTooLarge?.(this.#historyBytes - room);
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
    if (this.#historyBytes > 0) this.#judgeHistory();
    const wasCritical = this.isInputCritical;
    // Each is judged by itself: frames wait for their clients, which mustn't keep others from being read.
    const framesShare = this.#areFramesCritical ? RELAXED_INPUT_SHARE : UNFINISHED_CRITICAL_SHARE;
    this.#areFramesCritical = this.#unfinishedBytes > this.#freeBytes * framesShare;
    const deferredShare = this.#isDeferredCritical ? RELAXED_INPUT_SHARE : DEFERRED_SHARE;
    this.#isDeferredCritical = this.#deferredBytes > this.#freeBytes * deferredShare;
    if (this.isInputCritical === wasCritical) return;
    if (wasCritical) this.#events.onInputRelaxed?.();
    else this.#events.onInputCritical?.();
  }
}
