import type { Runtime } from "../../runtime/types.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import { Fifo } from "../timing/fifo.ts";
import { RECEIPT_OVERHEAD_BYTES } from "../limits/costs.ts";
import {
  MAX_OWED_RECEIPTS,
  MAX_OWED_RECEIPTS_IN_NEED,
  OWED_RECEIPTS_SHARE,
} from "../limits/messages.ts";
import type { MemoryBudget } from "../flow/memory_budget.ts";
import type { FairScheduler, SlicedTask } from "../timing/fair_scheduler.ts";

/** A publisher with ready receipts. */
export interface Receiver {
  /** True if it is owed few receipts, so that it causes no flood. */
  readonly isOwedFew: boolean;
  /** Sends it all ready receipts, in one write. */
  giveReceipts(): void;
}

/** The parts of the server that the desk uses. */
export interface ReceiptDeskHost {
  readonly runtime: Runtime;
  readonly budget: MemoryBudget;
  readonly clock: CoarseClock;
  readonly scheduler: FairScheduler;
}

/**
 * Sends publishers their receipts: one publisher's receipts of a turn in one write, and as many publishers
 * a turn as the loop bears. Bounds the receipts that all publishers together are owed. Every other write
 * goes to a publisher that is owed few, if there is one, so that it doesn't wait behind a thousand
 * publishers that flood.
 */
export class ReceiptDesk implements SlicedTask {
  readonly #host: ReceiptDeskHost;
  /** The publishers with ready receipts: those that are owed few, and the others. */
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

  /** The number of receipts that one publisher may be owed before it must wait. */
  get maxOwed(): number {
    const shareBytes = this.#host.budget.maxBytes * OWED_RECEIPTS_SHARE;
    return this.bytesOf(this.#owed) <= shareBytes ? MAX_OWED_RECEIPTS : MAX_OWED_RECEIPTS_IN_NEED;
  }

  /** The bytes of memory that owed receipts take. */
  bytesOf(receipts: number): number {
    return receipts * RECEIPT_OVERHEAD_BYTES;
  }

  /** Changes the number of owed receipts. */
  countOwed(receipts: number): void {
    this.#owed += receipts;
    if (receipts > 0) this.#host.budget.hold(this.bytesOf(receipts));
    else this.#host.budget.release(this.bytesOf(-receipts));
  }

  /** Sends a publisher its receipts soon. Call it once until that is done. */
  schedule(receiver: Receiver): void {
    (receiver.isOwedFew ? this.#few : this.#many).push(receiver);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#host.scheduler.schedule(this);
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
