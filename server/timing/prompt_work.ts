import type { Runtime } from "../../runtime/types.ts";

/**
 * Work that comes in at any moment. What comes to an idle loop is done behind the code that brought it, so
 * that a lone message waits for no turn. What comes then in the same turn is done together, in the next one,
 * and so it goes on until a turn brings nothing.
 */
export class PromptWork {
  readonly #runtime: Pick<Runtime, "soon" | "nextTurn" | "afterTurn">;
  readonly #work: () => boolean;
  /** True from the first request until a turn has brought none. */
  #isAwake = false;
  #isWanted = false;

  /** @param work Does some of the work, and returns true if some is left for the next turn. */
  constructor(
    runtime: Pick<Runtime, "soon" | "nextTurn" | "afterTurn">,
    work: () => boolean,
  ) {
    this.#runtime = runtime;
    this.#work = work;
  }

  /** To be called when there is work. */
  request(): void {
    this.#isWanted = true;
    if (this.#isAwake) return;
    this.#isAwake = true;
    this.#runtime.soon(this.#run);
  }

  readonly #run = (): void => {
    let hasMore = true;
    try {
      hasMore = this.#work();
    } finally {
      // What came during the work is done too, unless there is more.
      this.#isWanted = false;
      if (hasMore) this.#runtime.nextTurn(this.#run);
      else this.#runtime.afterTurn(this.#isNeeded, this.#rest);
    }
  };

  readonly #isNeeded = (): boolean => this.#isWanted;

  readonly #rest = (): void => {
    if (this.#isWanted) this.#run();
    else this.#isAwake = false;
  };
}
