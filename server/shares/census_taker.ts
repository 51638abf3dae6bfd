import type { Census } from "./census.ts";

/** Milliseconds that a worker may take to say what its addresses hold. */
const PATIENCE_MS = 500;

/** A worker, as far as the census taker talks to it. */
export interface Respondent {
  /** Asks what its addresses hold. */
  askCensus(): void;
  /** Tells what those of all others hold. */
  tellCensuses(others: readonly Census[]): void;
}

/** Tells workers that ask what the addresses of the others hold. All that ask meanwhile share an answer. */
export class CensusTaker<Worker extends Respondent> {
  /** What each has said last. */
  readonly #workers = new Map<Worker, Census | undefined>();
  readonly #askers = new Set<Worker>();
  /** Those that are to answer. */
  readonly #missing = new Set<Worker>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** A worker has come. */
  add(worker: Worker): void {
    this.#workers.set(worker, undefined);
  }

  /** A worker is no more. */
  remove(worker: Worker): void {
    this.#workers.delete(worker);
    this.#askers.delete(worker);
    this.#missing.delete(worker);
    this.#endIfDue();
  }

  /** Takes what a worker says. */
  take(worker: Worker, census: Census, asks: boolean): void {
    if (!this.#workers.has(worker)) return;
    this.#workers.set(worker, census);
    this.#missing.delete(worker);
    if (asks) this.#ask(worker);
    this.#endIfDue();
  }

  /** Asks nobody any more. */
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
