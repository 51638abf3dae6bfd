import { RESTART_MS, RETURN_WINDOW_MIN_MS, RETURNS_PER_SECOND } from "../limits/shutdown.ts";

/** A client that can be told that the server stops. */
export interface Leaver {
  /** True while the server makes it wait, and so may not have read all that it sent. */
  readonly isWaiting: boolean;
  /** Tells it to come back after so many milliseconds, and closes it. Does nothing if it is gone. */
  shutDown(retryAfterMs: number): void;
}

/** Milliseconds after the drain time until which clients that the server makes wait may be told. */
const LATE_MS = 1_000;

/**
 * Tells all clients that the server stops, spread evenly over a time, in a random order, so that clients of
 * one age or one address don't come back together.
 *
 * Each client is told after how many milliseconds to come back: the rest of that time, plus
 * {@linkcode RESTART_MS} for the server to be there again, plus a random part of the time that the server
 * needs to take all of them back.
 */
export class StaggeredClose {
  readonly #leavers: Leaver[];
  readonly #beganMs: number;
  readonly #drainMs: number;
  readonly #random: () => number;
  #told = 0;
  /** Clients whose turn came while the server made them wait. */
  #late: Leaver[] = [];

  /**
   * @param leavers Taken over by this object, which reorders it.
   * @param drainMs Milliseconds over which the clients are told.
   * @param nowMs The time at which it begins, on any monotonic clock.
   * @param random A function like `Math.random`.
   */
  constructor(leavers: Leaver[], drainMs: number, nowMs: number, random: () => number) {
    this.#leavers = leavers;
    this.#drainMs = drainMs;
    this.#beganMs = nowMs;
    this.#random = random;
    shuffle(leavers, random);
  }

  /** True when all clients have been told. */
  get isOver(): boolean {
    return this.#told === this.#leavers.length && this.#late.length === 0;
  }

  /**
   * Tells the clients that are due before the next call.
   *
   * @param nextMs The time of the next call.
   * @param most The most clients to tell now.
   * @returns The number of clients told.
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

  /** The number of clients due before that time: the first at once, the last a step before the end. */
  #dueBefore(elapsedMs: number): number {
    const count = this.#leavers.length;
    return elapsedMs >= this.#drainMs ? count : Math.ceil(count * elapsedMs / this.#drainMs);
  }
}

/** Milliseconds over which so many connections should come back. */
export function returnWindowMs(connections: number): number {
  return Math.max(RETURN_WINDOW_MIN_MS, Math.ceil(connections * 1000 / RETURNS_PER_SECOND));
}

/** Shuffles the array in place (Fisher and Yates). */
function shuffle(items: unknown[], random: () => number): void {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [items[i], items[j]] = [items[j], items[i]];
  }
}
