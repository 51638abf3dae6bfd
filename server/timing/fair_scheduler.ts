import type { Runtime } from "../../runtime/types.ts";

/** A task that is done in slices, between which the event loop turns. */
export interface SlicedTask {
  /**
   * Does work of about `budget` writes, but at least some, and returns how much it did; work that
   * writes nothing may count as a part of a write. It is called again while {@linkcode hasMore}.
   */
  runSlice(budget: number): number;
  /** False when the work is done. */
  readonly hasMore: boolean;
}

/**
 * Shares the event loop among tasks. Each turn does no more writes than the runtime's loop bears, and tasks
 * take turns, so a topic of 10 subscribers never waits for a whole pass over 40,000.
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

  /** Runs the task from the next turn on until it is done. To be called once until then. */
  schedule(task: SlicedTask): void {
    this.#next.push(task);
    this.#scheduleTurn();
  }

  /** Counts a task that has work left, but waits for something else than its turn. */
  park(): void {
    this.#parked++;
  }

  /** Runs a parked task from the next turn on. */
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
      // Two stacks make a queue: new tasks wait until all others have had a slice.
      this.#tasks = this.#next.reverse();
      this.#next = [];
    }
    return this.#tasks.pop();
  }
}
