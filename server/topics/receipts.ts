/** The numbers of subscribers that a message has reached, and not. */
export interface Receipt {
  /** The subscribers when it was accepted; the sum of the other three. */
  readonly matched: number;
  /** The subscribers for which nothing waits: the kernel has taken everything sent to them. */
  readonly written: number;
  /** The subscribers for which bytes still wait: of this message, or of a later one. */
  readonly queued: number;
  /** The subscribers whose connection ended before either was known. */
  readonly evicted: number;
}

/** The receipt of a message to a topic without subscribers. */
export const NOBODY: Receipt = { matched: 0, written: 0, queued: 0, evicted: 0 };

/** Takes a message's receipt. */
export interface ReceiptTaker {
  /** Called once; it must not end subscriptions. */
  take(receipt: Receipt): void;
}

interface Awaited {
  /** The message's number in its topic. */
  readonly number: number;
  readonly matched: number;
  readonly taker: ReceiptTaker;
  /** Of the subscribers counted after the pass, those that subscribed after the message before. */
  written: number;
  queued: number;
  writtenToLeavers: number;
  queuedForLeavers: number;
}

/**
 * The receipts that one topic owes, in the order of their messages. A pass doesn't count them: after it,
 * each subscriber is looked at once for all of the pass's messages together.
 */
export class Receipts {
  #awaited: Awaited[] = [];

  /** True if a receipt is owed for a message below this number. */
  owesBelow(end: number): boolean {
    const first = this.#awaited[0];
    return first !== undefined && first.number < end;
  }

  /** Owes one for a message. */
  owe(number: number, matched: number, taker: ReceiptTaker): void {
    const counts = { written: 0, queued: 0, writtenToLeavers: 0, queuedForLeavers: 0 };
    this.#awaited.push({ number, matched, taker, ...counts });
  }

  /**
   * Counts a subscriber who has been given every message below a number.
   *
   * @param isQueued Whether something still waits for it.
   * @param since The first message that it was to get.
   */
  count(isQueued: boolean, since: number, end: number): void {
    const entry = this.#awaited[this.#firstFrom(since)];
    if (entry === undefined || entry.number >= end) return;
    if (isQueued) entry.queued++;
    else entry.written++;
  }

  /** Counts a subscriber who leaves, and who has been given every message from a number on. */
  countLeaver(isQueued: boolean, since: number): void {
    for (let i = this.#firstFrom(since); i < this.#awaited.length; i++) {
      const entry = this.#awaited[i] as Awaited;
      if (isQueued) entry.queuedForLeavers++;
      else entry.writtenToLeavers++;
    }
  }

  /** Gives the receipts for messages below a number: everyone has been counted for them. */
  settle(end: number): void {
    const settled = this.#awaited.slice(0, this.#firstFrom(end));
    this.#awaited = this.#awaited.slice(settled.length);
    let writtenSoFar = 0;
    let queuedSoFar = 0;
    for (const entry of settled) {
      writtenSoFar += entry.written;
      queuedSoFar += entry.queued;
      const { matched } = entry;
      const written = writtenSoFar + entry.writtenToLeavers;
      const queued = queuedSoFar + entry.queuedForLeavers;
      entry.taker.take({ matched, written, queued, evicted: matched - written - queued });
    }
  }

  /** The index of the first receipt for messages from this number on. */
  #firstFrom(number: number): number {
    let low = 0;
    let high = this.#awaited.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#awaited[middle] as Awaited).number >= number) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
