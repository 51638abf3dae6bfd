import { setTimeout } from "node:timers";

/** Lets so many lines at a time into a log, and counts the others, so that one line sums them up. */
export class LineQuota {
  readonly #lines: number;
  readonly #periodMs: number;
  readonly #sumUp: (counts: ReadonlyMap<string, number>) => void;
  #sinceMs = -Infinity;
  #admitted = 0;
  #counts = new Map<string, number>();

  /**
   * @param lines How many may be written in a period.
   * @param sumUp Called at the end of a period in which there were more, with how many more of each
   * kind.
   * @param periodMs How long that is, in milliseconds; a second unless given.
   */
  constructor(
    lines: number,
    sumUp: (counts: ReadonlyMap<string, number>) => void,
    periodMs = 1_000,
  ) {
    this.#lines = lines;
    this.#sumUp = sumUp;
    this.#periodMs = periodMs;
  }

  /** Whether a line of that kind may be written now; if not, it's counted. */
  admits(kind: string): boolean {
    const nowMs = performance.now();
    if (this.#counts.size === 0 && nowMs - this.#sinceMs >= this.#periodMs) {
      this.#sinceMs = nowMs;
      this.#admitted = 0;
    }
    if (this.#admitted < this.#lines) {
      this.#admitted++;
      return true;
    }
    if (this.#counts.size === 0) {
      // Nothing to stay alive for.
      setTimeout(() => this.#end(), this.#sinceMs + this.#periodMs - nowMs).unref();
    }
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    return false;
  }

  #end(): void {
    const counts = this.#counts;
    this.#counts = new Map();
    // A timer may come a little early.
    this.#sinceMs = -Infinity;
    this.#sumUp(counts);
  }
}
