import type { Runtime } from "../../runtime/types.ts";
import { PromptWork } from "./prompt_work.ts";

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
  readonly #work: PromptWork;
  #tasks: SlicedTask[] = [];
  #next: SlicedTask[] = [];

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
    this.#work = new PromptWork(runtime, () => this.#runSlices());
  }

  /** True while some task has work left. */
  get isBusy(): boolean {
    return this.#tasks.length > 0 || this.#next.length > 0;
  }

  /** Runs the task until it is done, at once if the loop is idle. To be called once until then. */
  schedule(task: SlicedTask): void {
    this.#next.push(task);
    this.#work.request();
  }

  #runSlices(): boolean {
    let budget = this.#runtime.writesPerTurn;
    while (budget > 0) {
      const task = this.#take();
      if (task === undefined) return false;
      budget -= task.runSlice(budget);
      if (task.hasMore) this.#next.push(task);
    }
    return this.isBusy;
  }

  #take(): SlicedTask | undefined {
    if (this.#tasks.length === 0) {
      // Two stacks make a queue: new tasks wait until all others have had a slice.
      this.#tasks = this.#next.reverse();
      this.#next = [];
    }
    return this.#tasks.pop();
  }
}
