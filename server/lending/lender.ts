import type { Runtime } from "../../runtime/types.ts";
import { CoarseClock } from "../timing/coarse_clock.ts";
import { SWEEP_INTERVAL_MS } from "../limits.ts";
import { Ledger } from "./ledger.ts";
import type { AllTerms, Claim, Notice } from "./terms.ts";

/** How far one sweep may move the clock. */
const MAX_STEP_MS = 2 * SWEEP_INTERVAL_MS;

/** A worker, as far as the lender talks to it. */
export interface Lendee {
  /** @param isAnswer Whether it answers the worker's last claims. */
  lend(notices: readonly Notice[], isAnswer: boolean): void;
}

/**
 * Lends the permits of a whole server to its workers. Each claim is answered at once; what others
 * must hear because of it goes out once a turn.
 */
export class Lender<Worker extends Lendee> {
  readonly #runtime: Runtime;
  readonly #ledger: Ledger<Worker>;
  readonly #outboxes = new Map<Worker, Notice[]>();
  readonly #clock = new CoarseClock(0);
  readonly #timer: ReturnType<typeof setInterval>;
  #sweptMs = performance.now();
  #isScheduled = false;

  /** @param workers How many the server has when none is missing. */
  constructor(runtime: Runtime, terms: AllTerms, workers: number) {
    this.#runtime = runtime;
    this.#ledger = new Ledger(terms, workers, (worker, notice) => this.#tell(worker, notice));
    this.#timer = setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS);
  }

  /** A worker has come, and has accepted no client yet. */
  add(worker: Worker): void {
    this.#ledger.add(worker);
    this.#flush(worker, false);
  }

  /** A worker is no more: others may have its places. */
  remove(worker: Worker): void {
    this.#ledger.remove(worker, this.#clock.nowMs);
    this.#outboxes.delete(worker);
  }

  /** Does what a worker says, and answers. */
  take(worker: Worker, claims: readonly Claim[]): void {
    this.#ledger.claim(worker, claims, this.#clock.nowMs);
    this.#flush(worker, true);
  }

  /** Lends nothing any more by itself. */
  stop(): void {
    clearInterval(this.#timer);
  }

  #sweep(): void {
    const nowMs = performance.now();
    // Time in which this process stood still is no worker's fault: its answer may be here, unread.
    this.#clock.nowMs += Math.min(nowMs - this.#sweptMs, MAX_STEP_MS);
    this.#sweptMs = nowMs;
    this.#ledger.sweep(this.#clock.nowMs);
  }

  #tell(worker: Worker, notice: Notice): void {
    const outbox = this.#outboxes.get(worker);
    if (outbox === undefined) this.#outboxes.set(worker, [notice]);
    else outbox.push(notice);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#runtime.nextTurn(() => {
      this.#isScheduled = false;
      for (const worker of this.#outboxes.keys()) this.#flush(worker, false);
    });
  }

  #flush(worker: Worker, isAnswer: boolean): void {
    const notices = this.#outboxes.get(worker);
    this.#outboxes.delete(worker);
    if (notices !== undefined || isAnswer) worker.lend(notices ?? [], isAnswer);
  }
}
