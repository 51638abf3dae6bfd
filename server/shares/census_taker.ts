import type { Census } from "./census.ts";

/** Milliseconds that a worker has for its census. */
const PATIENCE_MS = 500;

/** A worker, as the census taker sees it. */
export interface Respondent {
  /** Asks for its census. */
  askCensus(): void;
  /** Sends it the censuses of all others. */
  tellCensuses(others: readonly Census[]): void;
}

/** Sends each worker that asks the censuses of the others. Workers that ask meanwhile share one answer. */
export class CensusTaker<Worker extends Respondent> {
  /** Each worker's last census. */
  readonly #workers = new Map<Worker, Census | undefined>();
  readonly #askers = new Set<Worker>();
  /** Workers that have to answer. */
  readonly #missing = new Set<Worker>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Adds a worker. */
  add(worker: Worker): void {
    this.#workers.set(worker, undefined);
  }

  /** Removes a worker that has ended. */
  remove(worker: Worker): void {
    this.#workers.delete(worker);
    this.#askers.delete(worker);
    this.#missing.delete(worker);
    this.#endIfDue();
  }

  /**
   * Takes a worker's census.
   *
   * @param asks True if the worker wants the censuses of the others.
   */
  take(worker: Worker, census: Census, asks: boolean): void {
    if (!this.#workers.has(worker)) return;
    this.#workers.set(worker, census);
    this.#missing.delete(worker);
    if (asks) this.#ask(worker);
    this.#endIfDue();
  }

  /** Stops the timer, and answers no request any more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#askers.clear();
  }

  #ask(asker: Worker): void {
    const isFirst = this.#askers.size === 0;
    this.#askers.add(asker);
    if (!isFirst) return;
    for (const worker of this.#workers.keys()) if (worker !== asker) this.#missing.add(worker);
    for (const worker of this.#missing) worker.askCensus();
    this.#timer = setTimeout(() => this.#end(), PATIENCE_MS);
  }

  #endIfDue(): void {
    if (this.#askers.size > 0 && this.#missing.size === 0) this.#end();
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#missing.clear();
    const askers = [...this.#askers];
    this.#askers.clear();
    for (const asker of askers) {
      const others = [...this.#workers].filter(([worker]) => worker !== asker);
      asker.tellCensuses(others.flatMap(([, census]) => census ?? []));
    }
  }
}
