import { Fifo } from "../timing/fifo.ts";
import { Gate } from "../flow/gate.ts";
import type { ReceiptDesk } from "../topics/receipt_desk.ts";
import type { Receipt, ReceiptTaker } from "../topics/receipts.ts";

/**
 * A receipt that a publisher is owed: the sum of the counts so far, of the topic in this process and of
 * every other process.
 */
export class OwedReceipt implements Receipt, ReceiptTaker {
  /** The message's timestamp. */
  readonly micros: number;
  /** The time since which it is owed, on the coarse clock. */
  readonly sinceMs: number;
  matched = 0;
  written = 0;
  queued = 0;
  evicted = 0;
  /** The other machines of a cluster that were asked, and that have counted; `undefined` without a cluster. */
  peers: { asked: number; answered: number } | undefined;
  readonly #queue: ReceiptQueue;
  /** The number of processes that still have to count, this one included. */
  #missing = 1;

  constructor(micros: number, sinceMs: number, queue: ReceiptQueue) {
    this.micros = micros;
    this.sinceMs = sinceMs;
    this.#queue = queue;
  }

  /** True when all processes have counted, or are left out. */
  get isSettled(): boolean {
    return this.#missing === 0;
  }

  /** Waits for one more process. */
  awaitOneMore(): void {
    this.#missing++;
  }

  /** Waits for so many other machines. To be called once for a message in a cluster. */
  askPeers(machines: number): void {
    this.peers = { asked: machines, answered: 0 };
    this.#missing += machines;
  }

  /** Adds another machine's counts. */
  takePeer(receipt: Receipt): void {
    if (this.peers !== undefined) this.peers.answered++;
    this.take(receipt);
  }

  /** Adds one process's counts. */
  take({ matched, written, queued, evicted }: Receipt): void {
    this.matched += matched;
    this.written += written;
    this.queued += queued;
    this.evicted += evicted;
    this.leaveOut();
  }

  /** Waits no longer for one process: the receipt doesn't claim what isn't known. */
  leaveOut(): void {
    if (--this.#missing === 0) this.#queue.onSettled();
  }
}

/**
 * The receipts that one publisher is owed. They go out in the order of its messages, whichever is settled
 * first.
 */
export class ReceiptQueue {
  readonly #owed = new Fifo<OwedReceipt>();
  readonly #desk: ReceiptDesk;
  readonly #onReady: () => void;
  #gate: Gate | undefined;
  #isReady = false;

  /**
   * @param onReady Called when receipts can be taken with {@linkcode takeSettled}, and not again until
   * they are. It is called by the code that settles them.
   */
  constructor(desk: ReceiptDesk, onReady: () => void) {
    this.#desk = desk;
    this.#onReady = onReady;
  }

  /** The number of owed receipts. */
  get size(): number {
    return this.#owed.size;
  }

  /** Bytes of memory that they take. */
  get heldBytes(): number {
    return this.#desk.bytesOf(this.#owed.size);
  }

  /** True while the publisher should wait before it is owed another one. */
  get isFull(): boolean {
    return this.#owed.size >= this.#desk.maxOwed;
  }

  /**
   * The gate where the publisher should wait until half of what it may be owed is given, if it should. The
   * gate opens by itself. A receipt waits for its topic's passes in this process, and for the answers of
   * the others. A pass waits for nothing. An answer comes within
   * `RECEIPT_DEADLINE_MS`, or is left out then; that of a process that gives no sign of life is left out
   * after `STALL_MS`. None of them waits for a publisher.
   */
  get gate(): Gate | undefined {
    return this.isFull ? this.#gate ??= new Gate(this.#desk.runtime, "receipts") : undefined;
  }

  /** Adds a receipt for the message with this timestamp. */
  owe(micros: number): OwedReceipt {
    const owed = new OwedReceipt(micros, this.#desk.nowMs, this);
    this.#owed.push(owed);
    this.#desk.countOwed(1);
    return owed;
  }

  /** To be called when one of them is settled. */
  onSettled(): void {
    if (this.#isReady || !this.#owed.peek()?.isSettled) return;
    this.#isReady = true;
    this.#onReady();
  }

  /** Takes the next receipt that may go out. To be called until it returns `undefined`. */
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
