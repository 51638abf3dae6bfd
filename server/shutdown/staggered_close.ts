import { RESTART_MS, RETURN_WINDOW_MIN_MS, RETURNS_PER_SECOND } from "../limits.ts";

/** Who can be told that the server stops. */
export interface Leaver {
  /** True while the server has made it wait, and so may not have read what came from it. */
  readonly isWaiting: boolean;
  /** Tells it to come back after that many milliseconds, and closes; nothing for one that is gone. */
  shutDown(retryAfterMs: number): void;
}

/** How long after the others those are told who are made to wait until then. */
const LATE_MS = 1_000;

/**
 * Tells everyone that the server stops, spread evenly over a time, in a random order: what shares an
 * age or an address shouldn't come back as one.
 *
 * It's told after how many milliseconds to come back: what is left of that time, and
 * {@linkcode RESTART_MS} for the server to be there again, and a random part of a window that is as
 * long as the server needs to take all of them back.
 */
export class StaggeredClose {
  readonly #leavers: Leaver[];
  readonly #beganMs: number;
  readonly #drainMs: number;
  readonly #random: () => number;
  #told = 0;
  /** Those whose turn it was while they waited. */
  #late: Leaver[] = [];

  /**
   * @param leavers Taken over.
   * @param nowMs When it begins, on any monotonic clock.
   * @param random As `Math.random`.
   */
  constructor(leavers: Leaver[], drainMs: number, nowMs: number, random: () => number) {
    this.#leavers = leavers;
    this.#drainMs = drainMs;
    this.#beganMs = nowMs;
    this.#random = random;
    shuffle(leavers, random);
  }

  /** True when everyone has been told. */
  get isOver(): boolean {
    return this.#told === this.#leavers.length && this.#late.length === 0;
  }

  /**
   * Tells those who are due before the next call.
   *
   * @param nextMs When that will be.
   * @param most How many, at most.
   * @returns How many there were.
   */
  tellDue(nowMs: number, nextMs: number, most: number): number {
    const elapsedMs = nowMs - this.#beganMs;
    const retryMs = Math.ceil(Math.max(0, this.#drainMs - elapsedMs)) + RESTART_MS;
    const mayBeLate = elapsedMs < this.#drainMs + LATE_MS;
    let count = this.#tellLate(retryMs, mayBeLate, most);
    const due = this.#dueBefore(nextMs - this.#beganMs);
    while (count < most && this.#told < due) {
      const leaver = this.#leavers[this.#told++] as Leaver;
      if (leaver.isWaiting && mayBeLate) {
        this.#late.push(leaver);
      } else {
        count++;
        this.#tell(leaver, retryMs);
      }
    }
    return count;
  }

  #tellLate(retryMs: number, mayBeLate: boolean, most: number): number {
    let count = 0;
    if (this.#late.length === 0) return count;
    this.#late = this.#late.filter((leaver) => {
      if (count === most || mayBeLate && leaver.isWaiting) return true;
      count++;
      this.#tell(leaver, retryMs);
      return false;
    });
    return count;
  }

  #tell(leaver: Leaver, retryMs: number): void {
    const windowMs = returnWindowMs(this.#leavers.length);
    leaver.shutDown(retryMs + Math.floor(this.#random() * windowMs));
  }

  /** How many are to be told before then: the first at once, the last a step before the end. */
  #dueBefore(elapsedMs: number): number {
    const count = this.#leavers.length;
    return elapsedMs >= this.#drainMs ? count : Math.ceil(count * elapsedMs / this.#drainMs);
  }
}

/** The milliseconds over which as many connections should come back. */
export function returnWindowMs(connections: number): number {
  return Math.max(RETURN_WINDOW_MIN_MS, Math.ceil(connections * 1000 / RETURNS_PER_SECOND));
}

/** Fisher and Yates. */
function shuffle(items: unknown[], random: () => number): void {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [items[i], items[j]] = [items[j], items[i]];
  }
}
