/** Timestamp and counts of a receipt. */
const RECEIPT =
  /^\{"timestamp":\[(\d+),(\d+),(\d+)\],"receipt":\{"matched":(\d+),"written":(\d+),"queued":(\d+),"evicted":(\d+)\}\}$/;

/** What a frame is: a receipt as it should be, one that isn't, or something else. */
export type ReceiptVerdict = "fine" | "wrong" | "none";

/**
 * Holds the receipts that one connection gets against those that it asked for: each was asked for,
 * adds up, and carries a later timestamp than the one before.
 */
export class ReceiptCheck {
  #owed = 0;
  #lastMicros = 0;

  /** How many haven't come yet. */
  get owed(): number {
    return this.#owed;
  }

  /** A message is published that asks for one. */
  ask(): void {
    this.#owed++;
  }

  /** A frame has come. */
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
