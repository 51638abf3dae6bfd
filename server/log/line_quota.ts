import { setTimeout } from "node:timers";

/** Lets so many lines a period into a log, counts the others, and sums them up in one line. */
export class LineQuota {
  readonly #lines: number;
  readonly #periodMs: number;
  readonly #sumUpMs: number;
  readonly #sumUp: (counts: ReadonlyMap<string, number>) => void;
  #sinceMs = -Infinity;
  #admitted = 0;
  #counts = new Map<string, number>();

  /**
   * @param lines The lines that may be written in a period.
   * @param sumUp Called with the number of further lines of each kind, some time after the first of them.
   * @param periodMs The length of a period in milliseconds; a second unless given.
   * @param sumUpMs Milliseconds from the start of a period until further lines are summed up; its length
   * unless given.
   */
  constructor(
    lines: number,
    sumUp: (counts: ReadonlyMap<string, number>) => void,
    periodMs = 1_000,
    sumUpMs = periodMs,
  ) {
    this.#lines = lines;
    this.#sumUp = sumUp;
    this.#periodMs = periodMs;
    this.#sumUpMs = sumUpMs;
  }

  /** True if a line of that kind may be written now; otherwise it is counted. */
  admits(kind: string): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#sinceMs >= this.#periodMs) {
      this.#sinceMs = nowMs;
      this.#admitted = 0;
    }
    if (this.#admitted < this.#lines) {
      this.#admitted++;
      return true;
    }
    if (this.#counts.size === 0) {
      // The process need not stay alive for it. The 1 ms more is for timers that fire a little early.
      setTimeout(() => this.#end(), this.#sinceMs + this.#sumUpMs - nowMs + 1).unref();
    }
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    return false;
  }

  #end(): void {
    const counts = this.#counts;
    this.#counts = new Map();
    this.#sumUp(counts);
  }
}
