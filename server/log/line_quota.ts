import { setTimeout } from "node:timers";

/** Lets so many lines at a time into a log, and counts the others, so that one line sums them up. */
export class LineQuota {
  readonly #lines: number;
  readonly #periodMs: number;
  readonly #sumUpMs: number;
  readonly #sumUp: (counts: ReadonlyMap<string, number>) => void;
  #sinceMs = -Infinity;
  #admitted = 0;
  #counts = new Map<string, number>();

  /**
   * @param lines How many may be written in a period.
   * @param sumUp Called when there were more, some time after the first of them, with how many there
   * were of each kind.
   * @param periodMs How long a period is, in milliseconds; a second unless given.
   * @param sumUpMs How long after the begin of a period those are summed up that were more; at its end
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

  /** Whether a line of that kind may be written now; if not, it's counted. */
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
      // Nothing to stay alive for. A timer may come a little early.
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
