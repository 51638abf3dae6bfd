import type { Runtime } from "../runtime/types.ts";

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

/** Where publishers wait for whatever can't take more just now. */
export class Gate implements WaitingPlace {
  readonly #runtime: Runtime;
  #waiters: Set<Waiter> | undefined;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  wait(waiter: Waiter): void {
    this.#waiters ??= new Set();
    this.#waiters.add(waiter);
  }

  leave(waiter: Waiter): void {
    this.#waiters?.delete(waiter);
  }

  /** Lets everyone go on, on the next turn: it may be called from inside a write. */
  open(): void {
    const waiters = this.#waiters;
    if (waiters === undefined) return;
    this.#waiters = undefined;
    this.#runtime.nextTurn(() => {
      for (const waiter of waiters) waiter.resume();
    });
  }
}
