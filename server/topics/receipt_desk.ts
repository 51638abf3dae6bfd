import type { Runtime } from "../../runtime/types.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import { Fifo } from "../timing/fifo.ts";
import {
  MAX_OWED_RECEIPTS,
  MAX_OWED_RECEIPTS_IN_NEED,
  OWED_RECEIPTS_SHARE,
  RECEIPT_OVERHEAD_BYTES,
} from "../limits.ts";
import type { MemoryBudget } from "../flow/memory_budget.ts";
import type { FairScheduler, SlicedTask } from "../timing/fair_scheduler.ts";

/** A publisher for which receipts are ready. */
export interface Receiver {
  /** Whether it's owed few receipts, and so isn't behind a flood of its own. */
  readonly isOwedFew: boolean;
  /** Gives it all that are ready, in one write. */
  giveReceipts(): void;
}

/** What the desk needs to know of the server. */
export interface ReceiptDeskHost {
  readonly runtime: Runtime;
  readonly budget: MemoryBudget;
  readonly clock: CoarseClock;
  readonly turns: FairScheduler;
}

/**
 * Gives publishers their receipts, those of a turn in one write, so many publishers a turn as the loop
 * bears, and bounds what all of them are owed. Every other write is for one that is owed few, if there
 * is one: it doesn't wait behind a thousand that flood.
 */
export class ReceiptDesk implements SlicedTask {
  readonly #host: ReceiptDeskHost;
  /** Those for whom receipts are ready: those that are owed few, and the others. */
  readonly #few = new Fifo<Receiver>();
  readonly #many = new Fifo<Receiver>();
  #isFewsTurn = true;
  #owed = 0;
  #isScheduled = false;

  constructor(host: ReceiptDeskHost) {
    this.#host = host;
  }

  get runtime(): Runtime {
    return this.#host.runtime;
  }

  /** The time on the coarse clock. */
  get nowMs(): number {
    return this.#host.clock.nowMs;
  }

  /** Receipts that one publisher may be owed before it's made to wait. */
  get maxOwed(): number {
    const shareBytes = this.#host.budget.maxBytes * OWED_RECEIPTS_SHARE;
    return this.bytesOf(this.#owed) <= shareBytes ? MAX_OWED_RECEIPTS : MAX_OWED_RECEIPTS_IN_NEED;
  }

  /** Bytes of memory that so many receipts take while they're owed. */
  bytesOf(receipts: number): number {
    return receipts * RECEIPT_OVERHEAD_BYTES;
  }

  /** Counts receipts that are owed more than before, or less. */
  countOwed(receipts: number): void {
    this.#owed += receipts;
    if (receipts > 0) this.#host.budget.hold(this.bytesOf(receipts));
    else this.#host.budget.release(this.bytesOf(-receipts));
  }

  /** Has a publisher's receipts given to it soon. To be called once until that is done. */
  schedule(receiver: Receiver): void {
    (receiver.isOwedFew ? this.#few : this.#many).push(receiver);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#host.turns.schedule(this);
  }

  get hasMore(): boolean {
    return this.#isScheduled;
  }

  runSlice(budget: number): number {
    let given = 0;
    for (; given < budget; given++) {
      const receiver = this.#next();
      if (receiver === undefined) break;
      receiver.giveReceipts();
    }
    this.#isScheduled = this.#few.size + this.#many.size > 0;
    return Math.max(1, given);
  }

  #next(): Receiver | undefined {
    const isFewsTurn = this.#isFewsTurn;
    this.#isFewsTurn = !isFewsTurn;
    return isFewsTurn
      ? this.#few.shift() ?? this.#many.shift()
      : this.#many.shift() ?? this.#few.shift();
  }
}
