import type { Runtime } from "../../runtime/types.ts";

/** Somebody who stopped reading until a gate opens. */
export interface Waiter {
  /** The gate is open: go on. Called on a turn of its own, once for each {@linkcode Gate.wait}. */
  resume(): void;
}

/** Where somebody can wait. */
export interface WaitingPlace {
  wait(waiter: Waiter): void;
  /** The waiter is gone and must not be called any more. */
  leave(waiter: Waiter): void;
}

/** Those who go on in one turn, some 1 ms: thousands may have waited at one gate. */
const RESUMED_PER_TURN = 512;

/** Where publishers wait for whatever can't take more just now. */
export class Gate implements WaitingPlace {
  readonly #runtime: Runtime;
  #waiters: Set<Waiter> | undefined;
  /** Those for whom it has opened, and whose turn is still to come. */
  #leaving: Set<Waiter> | undefined;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  wait(waiter: Waiter): void {
    this.#waiters ??= new Set();
    this.#waiters.add(waiter);
  }

  leave(waiter: Waiter): void {
    this.#waiters?.delete(waiter);
    this.#leaving?.delete(waiter);
  }

  /** Lets everyone go on, from the next turn on: it may be called from inside a write. */
  open(): void {
    const waiters = this.#waiters;
    if (waiters === undefined) return;
    this.#waiters = undefined;
    if (this.#leaving !== undefined) {
      for (const waiter of waiters) this.#leaving.add(waiter);
      return;
    }
    this.#leaving = waiters;
    this.#runtime.nextTurn(() => this.#resumeSome(waiters));
  }

  #resumeSome(leaving: Set<Waiter>): void {
    let resumed = 0;
    for (const waiter of leaving) {
      if (resumed++ === RESUMED_PER_TURN) {
        return this.#runtime.nextTurn(() => this.#resumeSome(leaving));
      }
      leaving.delete(waiter);
      waiter.resume();
    }
    this.#leaving = undefined;
  }
}
