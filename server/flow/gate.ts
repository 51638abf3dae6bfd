import type { Runtime } from "../../runtime/types.ts";
import type { PauseCause } from "../counters.ts";

/** A connection that isn't read until a gate opens. */
export interface Waiter {
  /** Goes on, since the gate has opened. Called on a turn of its own, once for each {@linkcode Gate.wait}. */
  resume(): void;
}

/** A place to wait. */
export interface WaitingPlace {
  wait(waiter: Waiter): void;
  /** Removes a waiter, which isn't called any more. */
  leave(waiter: Waiter): void;
}

/** The most waiters that go on in one turn, in about 1 ms: thousands may have waited at one gate. */
const RESUMED_PER_TURN = 512;

/** A place where any number may wait until it opens. */
export class WaitingRoom implements WaitingPlace {
  readonly #runtime: Runtime;
  #waiters: Set<Waiter> | undefined;
  /** The waiters that may go on but haven't had their turn yet. */
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

  /** Lets all waiters go on from the next turn on. It may be called from inside a write. */
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

/** Makes publishers wait while a subscriber, a topic or the memory can't take more. */
export class Gate extends WaitingRoom {
  /** The reason why publishers wait here. */
  readonly cause: PauseCause;

  constructor(runtime: Runtime, cause: PauseCause) {
    super(runtime);
    this.cause = cause;
  }
}
