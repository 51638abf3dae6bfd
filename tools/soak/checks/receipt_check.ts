/** Matches a receipt's timestamp and counts. */
const RECEIPT =
  /^\{"timestamp":\[(\d+),(\d+),(\d+)\],"receipt":\{"matched":(\d+),"written":(\d+),"queued":(\d+),"evicted":(\d+)(?:,"peers":\{"asked":\d+,"answered":\d+\})?\}\}$/;

/** The kind of a frame: a right receipt, a wrong one, or no receipt. */
export type ReceiptVerdict = "fine" | "wrong" | "none";

/**
 * Checks the receipts of one connection: each was asked for, adds up, and has a later timestamp than the
 * one before.
 */
export class ReceiptCheck {
  #owed = 0;
  #lastMicros = 0;

  /** The number of receipts that haven't arrived yet. */
  get owed(): number {
    return this.#owed;
  }

  /** Notes a message that asks for a receipt. */
  ask(): void {
    this.#owed++;
  }

  /** Checks a received frame. */
  take(frame: string): ReceiptVerdict {
    const match = RECEIPT.exec(frame);
    if (match === null) return "none";
    const [mega = 0, seconds = 0, micro = 0, matched, written = 0, queued = 0, evicted = 0] = match
      .slice(1).map(Number);
    const micros = (mega * 1e6 + seconds) * 1e6 + micro;
    const isLater = micros > this.#lastMicros;
    this.#lastMicros = micros;
    const isOwed = this.#owed-- > 0;
    return isLater && isOwed && matched === written + queued + evicted ? "fine" : "wrong";
  }
}
