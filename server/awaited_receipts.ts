import type { CoarseClock } from "./coarse_clock.ts";
import { RECEIPT_DEADLINE_MS } from "./limits.ts";
import { NOBODY, type Receipt, sumOf, type TakeReceipt } from "./receipts.ts";

interface Awaited {
  /** Whoever hasn't told yet. */
  readonly from: Set<object>;
  readonly sinceMs: number;
  readonly take: TakeReceipt;
  receipt: Receipt;
}

/**
 * The receipts for messages that other processes were given, until each has told what became of them
 * there. One that ends, or doesn't tell in time, is left out: what isn't known isn't claimed.
 */
export class AwaitedReceipts {
  readonly #clock: CoarseClock;
  /** By the messages' timestamps, the oldest in front. */
  readonly #awaited = new Map<number, Awaited>();

  constructor(clock: CoarseClock) {
    this.#clock = clock;
  }

  /** How many are awaited. */
  get size(): number {
    return this.#awaited.size;
  }

  /**
   * Awaits what becomes of a message.
   *
   * @param micros The message's timestamp.
   * @param from Everyone who was given it.
   * @param take Called once, with the sum; at once where it was given to nobody.
   */
  add(micros: number, from: Iterable<object>, take: TakeReceipt): void {
    const awaited = { from: new Set(from), sinceMs: this.#clock.nowMs, take, receipt: NOBODY };
    this.#awaited.set(micros, awaited);
    if (awaited.from.size === 0) this.#settle(micros, awaited);
  }

  /** Somebody tells what became of a message; nothing where that isn't awaited any more. */
  tell(from: object, micros: number, receipt: Receipt): void {
    const awaited = this.#awaited.get(micros);
    if (awaited === undefined || !awaited.from.delete(from)) return;
    awaited.receipt = sumOf(awaited.receipt, receipt);
    if (awaited.from.size === 0) this.#settle(micros, awaited);
  }

  /** Somebody is gone, and tells nothing any more. */
  leaveOut(from: object): void {
    for (const [micros, awaited] of this.#awaited) {
      if (awaited.from.delete(from) && awaited.from.size === 0) this.#settle(micros, awaited);
    }
  }

  /** Leaves out whoever hasn't told in time. To be called about once a sweep. */
  sweep(): void {
    for (const [micros, awaited] of this.#awaited) {
      if (this.#clock.nowMs - awaited.sinceMs < RECEIPT_DEADLINE_MS) return;
      this.#settle(micros, awaited);
    }
  }

  #settle(micros: number, { take, receipt }: Awaited): void {
    this.#awaited.delete(micros);
    take(receipt);
  }
}
