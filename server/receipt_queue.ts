import { RECEIPT_OVERHEAD_BYTES } from "./limits.ts";
import type { MemoryBudget } from "./memory_budget.ts";
import { NOBODY, type Receipt, sumOf, type TakeReceipt } from "./receipts.ts";

interface Owed {
  /** The message's timestamp. */
  readonly micros: number;
  receipt: Receipt;
  /** How many parts of it are still to come. */
  missing: number;
}

/**
 * The receipts that one publisher is owed. They go out in the order of its messages, whichever topic
 * is the first to tell what became of one.
 */
export class ReceiptQueue {
  readonly #owed = new Set<Owed>();
  readonly #budget: MemoryBudget;
  readonly #give: (micros: number, receipt: Receipt) => void;

  /** @param give Called for each message in turn; it may end subscriptions. */
  constructor(budget: MemoryBudget, give: (micros: number, receipt: Receipt) => void) {
    this.#budget = budget;
    this.#give = give;
  }

  /**
   * Owes one for a message.
   *
   * @param micros The message's timestamp.
   * @param parts In how many places something becomes of the message.
   * @returns To be called for each, with what did.
   */
  owe(micros: number, parts: number): TakeReceipt {
    const owed: Owed = { micros, receipt: NOBODY, missing: parts };
    this.#owed.add(owed);
    this.#budget.hold(RECEIPT_OVERHEAD_BYTES);
    return (receipt) => {
      owed.receipt = sumOf(owed.receipt, receipt);
      owed.missing--;
      this.#giveSettled();
    };
  }

  #giveSettled(): void {
    for (const owed of this.#owed) {
      if (owed.missing > 0) return;
      this.#owed.delete(owed);
      this.#budget.release(RECEIPT_OVERHEAD_BYTES);
      this.#give(owed.micros, owed.receipt);
    }
  }
}
