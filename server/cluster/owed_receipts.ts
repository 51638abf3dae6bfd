import { Fifo } from "../timing/fifo.ts";
import { Gate } from "../flow/gate.ts";
import type { ReceiptDesk } from "../topics/receipt_desk.ts";
import type { Receipt, ReceiptTaker } from "../topics/receipts.ts";

/**
 * A receipt that a publisher is owed: the sum of what was told of its message so far, by the topic in
 * this process and by every other process.
 */
export class OwedReceipt implements Receipt, ReceiptTaker {
  /** The message's timestamp. */
  readonly micros: number;
  /** Since when it's owed, on the coarse clock. */
  readonly sinceMs: number;
  matched = 0;
  written = 0;
  queued = 0;
  evicted = 0;
  readonly #queue: ReceiptQueue;
  /** How many places are still to tell; this process is one. */
  #missing = 1;

  constructor(micros: number, sinceMs: number, queue: ReceiptQueue) {
    this.micros = micros;
    this.sinceMs = sinceMs;
    this.#queue = queue;
  }

  /** Whether all places have told, or are left out. */
  get isSettled(): boolean {
    return this.#missing === 0;
  }

  /** One more place is to tell. */
  awaitOneMore(): void {
    this.#missing++;
  }

  /** One place tells what became of the message there. */
  take({ matched, written, queued, evicted }: Receipt): void {
    this.matched += matched;
    this.written += written;
    this.queued += queued;
    this.evicted += evicted;
    this.leaveOut();
  }

  /** One place tells nothing any more: what isn't known isn't claimed. */
  leaveOut(): void {
    if (--this.#missing === 0) this.#queue.onSettled();
  }
}

/**
 * The receipts that one publisher is owed. They go out in the order of its messages, whichever is the
 * first to be settled.
 */
export class ReceiptQueue {
  readonly #owed = new Fifo<OwedReceipt>();
  readonly #desk: ReceiptDesk;
  readonly #onReady: () => void;
  #gate: Gate | undefined;
  #isReady = false;

  /**
   * @param onReady Receipts can be taken with {@linkcode takeSettled}. Called once until they are,
   * from inside whatever settles them.
   */
  constructor(desk: ReceiptDesk, onReady: () => void) {
    this.#desk = desk;
    this.#onReady = onReady;
  }

  /** How many they are. */
  get size(): number {
    return this.#owed.size;
  }

  /** Bytes of memory that they take. */
  get heldBytes(): number {
    return this.#desk.bytesOf(this.#owed.size);
  }

  /** Whether the publisher should wait before it's owed another one. */
  get isFull(): boolean {
    return this.#owed.size >= this.#desk.maxOwed;
  }

  /**
   * Where it should wait, if it should: until half of what it may be owed is given. A receipt waits
   * for its topic's passes in this process, and for the answers of the others. A pass waits for
   * nothing but readers, each for so long at most; an answer, or the end of the link, comes within
   * `RECEIPT_DEADLINE_MS`, or is left out then. None of them waits for a publisher. So the gate opens
   * by itself.
   */
  get gate(): Gate | undefined {
    return this.isFull ? this.#gate ??= new Gate(this.#desk.runtime) : undefined;
  }

  /** Owes one for a message with this timestamp. */
  owe(micros: number): OwedReceipt {
    const owed = new OwedReceipt(micros, this.#desk.nowMs, this);
    this.#owed.push(owed);
    this.#desk.countOwed(1);
    return owed;
  }

  /** One of them is settled. */
  onSettled(): void {
    if (this.#isReady || !this.#owed.peek()?.isSettled) return;
    this.#isReady = true;
    this.#onReady();
  }

  /** Takes the next one, if it may go out. To be called until there is none. */
  takeSettled(): OwedReceipt | undefined {
    if (this.#owed.peek()?.isSettled) {
      this.#desk.countOwed(-1);
      return this.#owed.shift();
    }
    this.#isReady = false;
    if (this.#owed.size <= this.#desk.maxOwed / 2) {
      this.#gate?.open();
      this.#gate = undefined;
    }
    return undefined;
  }
}
