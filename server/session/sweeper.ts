import type { CoarseClock } from "../timing/coarse_clock.ts";
import { SWEEP_INTERVAL_MS } from "../limits/clients.ts";
import type { Session } from "./session.ts";
import type { SessionTable } from "./session_table.ts";
import type { FairScheduler, SlicedTask } from "../timing/fair_scheduler.ts";

/** Sessions that can be checked in the time of one write. */
const SESSIONS_PER_WRITE = 64;

/** A sweep checks this share of all sessions, so that a round takes a second. */
const SWEPT_SHARE = 1 / 4;

/** A sweep checks so many sessions at least, so that with few each sweep checks them all. */
const MIN_SWEPT = 1_024;

/** The most by which one sweep moves the clock. */
const MAX_STEP_MS = 2 * SWEEP_INTERVAL_MS;

/**
 * Checks every session's deadlines, in slices between turns of the loop, so that 20,000 heartbeats that
 * fall due together delay no message. One timer serves all sessions. If they are many, each is checked
 * only once a second: with 15,000, sweeps over all were 6 % of a round's CPU time.
 */
export class Sweeper implements SlicedTask {
  readonly #sessions: SessionTable<Session>;
  readonly #turns: FairScheduler;
  readonly #clock: CoarseClock;
  readonly #readMs: () => number;
  readonly #countWrites: () => number;
  #timer: ReturnType<typeof setInterval> | undefined;
  /** The slot that is checked next; a round goes from the highest down. */
  #slot = -1;
  /** The last slot of this sweep. */
  #lastSlot = 0;
  #sweptMs: number;

  /**
   * @param readMs A monotonic clock, in milliseconds.
   * @param countWrites Returns the number of writes of the server so far, which a slice's budget needs.
   */
  constructor(
    sessions: SessionTable<Session>,
    turns: FairScheduler,
    clock: CoarseClock,
    readMs: () => number,
    countWrites: () => number,
  ) {
    this.#sessions = sessions;
    this.#turns = turns;
    this.#clock = clock;
    this.#readMs = readMs;
    this.#sweptMs = readMs();
    this.#countWrites = countWrites;
  }

  /** @param onSweep Called before each sweep. */
  start(onSweep: () => void): void {
    this.#timer = setInterval(() => {
      this.sweep();
      onSweep();
    }, SWEEP_INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Reads the clock and begins a sweep, unless one is still under way. */
  sweep(): void {
    const nowMs = this.#readMs();
    // Time in which the process itself was suspended doesn't count against clients.
    this.#clock.nowMs += Math.min(nowMs - this.#sweptMs, MAX_STEP_MS);
    this.#sweptMs = nowMs;
    if (this.hasMore) return;
    const { size } = this.#sessions;
    if (this.#slot < 0 || this.#slot >= size) this.#slot = size - 1;
    const count = Math.max(MIN_SWEPT, Math.ceil(size * SWEPT_SHARE));
    this.#lastSlot = Math.max(0, this.#slot - count + 1);
    if (this.hasMore) this.#turns.schedule(this);
  }

  get hasMore(): boolean {
    return this.#slot >= this.#lastSlot;
  }

  runSlice(budget: number): number {
    const { nowMs } = this.#clock;
    const writesBefore = this.#countWrites();
    let cost = 0;
    for (let seen = 0; this.hasMore && cost < budget;) {
      this.#sessions.at(this.#slot--)?.sweep(nowMs);
      cost = ++seen / SESSIONS_PER_WRITE + this.#countWrites() - writesBefore;
    }
    return Math.max(1, Math.ceil(cost));
  }
}
