import type { Receipt, TakeReceipt } from "./receipts.ts";

interface Owed {
  /** The message's timestamp. */
  readonly micros: number;
  receipt: Receipt | undefined;
}

/**
 * The receipts that one publisher is owed. They go out in the order of its messages, whichever topic
 * is the first to tell what became of one.
 */
export class ReceiptQueue {
  readonly #owed = new Set<Owed>();
  readonly #give: (micros: number, receipt: Receipt) => void;

  /** @param give Called for each message in turn; it may end subscriptions. */
  constructor(give: (micros: number, receipt: Receipt) => void) {
    this.#give = give;
  }

  /** Owes one for a message with this timestamp, and takes what became of the message. */
  owe(micros: number): TakeReceipt {
    const owed: Owed = { micros, receipt: undefined };
    this.#owed.add(owed);
    return (receipt) => {
      owed.receipt = receipt;
      this.#giveSettled();
    };
  }

  #giveSettled(): void {
    for (const owed of this.#owed) {
      if (owed.receipt === undefined) return;
      this.#owed.delete(owed);
      this.#give(owed.micros, owed.receipt);
    }
  }
}
