/**
 * The receipts that publishers are owed, without a server, on a loop in memory.
 *
 * @module
 */

import { ReceiptQueue } from "../../../server/cluster/owed_receipts.ts";
import { MemoryBudget } from "../../../server/flow/memory_budget.ts";
import { CoarseClock } from "../../../server/timing/coarse_clock.ts";
import { FairScheduler } from "../../../server/timing/fair_scheduler.ts";
import { ReceiptDesk } from "../../../server/topics/receipt_desk.ts";
import type { Receipt } from "../../../server/topics/receipts.ts";
import { MemoryRuntime } from "./memory_runtime.ts";

/** A receipt of a message that has reached all of so many subscribers. */
export function written(count: number): Receipt {
  return { matched: count, written: count, queued: 0, evicted: 0 };
}

/** The desk of all receipts, and what it is made of. */
export class ReceiptBed {
  readonly runtime = new MemoryRuntime({ turns: "manual", writesPerTurn: 4 });
  readonly clock = new CoarseClock(0);
  readonly budget: MemoryBudget;
  readonly desk: ReceiptDesk;

  constructor(budgetBytes = 1e9) {
    this.budget = new MemoryBudget(budgetBytes, {});
    this.desk = new ReceiptDesk({
      runtime: this.runtime,
      budget: this.budget,
      clock: this.clock,
      scheduler: new FairScheduler(this.runtime),
    });
  }

  /** A queue whose receipts are given as soon as they're settled. */
  queue(given: unknown[] = []): ReceiptQueue {
    const queue: ReceiptQueue = new ReceiptQueue(this.desk, () => {
      for (let owed = queue.takeSettled(); owed !== undefined; owed = queue.takeSettled()) {
        given.push([owed.micros, owed.written]);
      }
    });
    return queue;
  }
}
