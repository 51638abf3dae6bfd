import type { Runtime } from "../../runtime/types.ts";
import { CoarseClock } from "../timing/coarse_clock.ts";
import { SWEEP_INTERVAL_MS } from "../limits/clients.ts";
import { Ledger } from "./ledger.ts";
import type { AllTerms, Claim, Notice } from "./terms.ts";

/** The most by which one sweep moves the clock. */
const MAX_STEP_MS = 2 * SWEEP_INTERVAL_MS;

/** A worker, as the lender sees it. */
export interface Lendee {
  /** @param isAnswer True if the notices answer the worker's last claims. */
  lend(notices: readonly Notice[], isAnswer: boolean): void;
}

/**
 * Lends the permits of a whole server to its workers. It answers each claim at once; notices to other
 * workers go out once a turn.
 */
export class Lender<Worker extends Lendee> {
  readonly #runtime: Runtime;
  readonly #ledger: Ledger<Worker>;
  readonly #outboxes = new Map<Worker, Notice[]>();
  readonly #clock = new CoarseClock(0);
  readonly #timer: ReturnType<typeof setInterval>;
  #sweptMs = performance.now();
  #isScheduled = false;

  /** @param workers The number of workers when none is missing. */
  constructor(runtime: Runtime, terms: AllTerms, workers: number) {
    this.#runtime = runtime;
    this.#ledger = new Ledger(terms, workers, (worker, notice) => this.#tell(worker, notice));
    this.#timer = setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS);
  }

  /** Adds a worker that has accepted no client yet. */
  add(worker: Worker): void {
    this.#ledger.add(worker);
    this.#flush(worker, false);
  }

  /** Removes a worker that has ended; the others may have its places. */
  remove(worker: Worker): void {
    this.#ledger.remove(worker, this.#clock.nowMs);
    this.#outboxes.delete(worker);
  }

  /** Carries out a worker's claims, and answers. */
  take(worker: Worker, claims: readonly Claim[]): void {
    this.#ledger.claim(worker, claims, this.#clock.nowMs);
    this.#flush(worker, true);
  }

  /** Stops the timer. */
  stop(): void {
    clearInterval(this.#timer);
  }

  #sweep(): void {
    const nowMs = performance.now();
    // Time in which this process stood still isn't a worker's fault: its answer may be here, unread.
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
