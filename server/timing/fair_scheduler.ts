import type { Runtime } from "../../runtime/types.ts";

/** Work that is done in slices between turns of the event loop. */
export interface SlicedTask {
  /**
   * Does about `budget` writes' worth of work, at least one's, and returns how much it did. It's
   * called again on a later turn while {@linkcode hasMore}.
   */
  runSlice(budget: number): number;
  /** False when the work is done. */
  readonly hasMore: boolean;
}

/**
 * Shares the event loop among tasks: each turn does no more writes than the runtime's loop bears,
 * and tasks take turns, so that a topic of 10 subscribers never waits for one of 40,000.
 */
export class FairScheduler {
  readonly #runtime: Runtime;
  #tasks: SlicedTask[] = [];
  #next: SlicedTask[] = [];
  #isScheduled = false;
  #parked = 0;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** True while some task has work left. */
  get isBusy(): boolean {
    return this.#isScheduled || this.#parked > 0;
  }

  /** Runs the task from the next turn on until it has no more. To be called once until then. */
  schedule(task: SlicedTask): void {
    this.#next.push(task);
    this.#scheduleTurn();
  }

  /** A task that has work left, but no more for now: it waits for something else than its turn. */
  park(): void {
    this.#parked++;
  }

  /** What a parked task waited for has come: runs it from the next turn on. */
  unpark(task: SlicedTask): void {
    this.#parked--;
    this.schedule(task);
  }

  #scheduleTurn(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#runtime.nextTurn(this.#turn);
  }

  readonly #turn = (): void => {
    this.#isScheduled = false;
    let budget = this.#runtime.writesPerTurn;
    while (budget > 0) {
      const task = this.#take();
      if (task === undefined) return;
      budget -= task.runSlice(budget);
      if (task.hasMore) this.#next.push(task);
    }
    if (this.#tasks.length > 0 || this.#next.length > 0) this.#scheduleTurn();
  };

  #take(): SlicedTask | undefined {
    if (this.#tasks.length === 0) {
      // Two stacks make a queue: what comes in waits until what is there had its slice.
      this.#tasks = this.#next.reverse();
      this.#next = [];
    }
    return this.#tasks.pop();
  }
}
