import type { CoarseClock } from "../timing/coarse_clock.ts";
import { SWEEP_INTERVAL_MS } from "../limits.ts";
import type { Session } from "./session.ts";
import type { SessionTable } from "./session_table.ts";
import type { FairScheduler, SlicedTask } from "../timing/fair_scheduler.ts";

/** Sessions that may be looked at in the time of one write. */
const SESSIONS_PER_WRITE = 64;

/** A sweep looks at this share of all sessions, so that a round takes a second. */
const SWEPT_SHARE = 1 / 4;

/** It looks at so many at least: where there are no more, deadlines are as exact as the sweeps. */
const MIN_SWEPT = 1_024;

/** How far one sweep may move the clock. */
const MAX_STEP_MS = 2 * SWEEP_INTERVAL_MS;

/**
 * Looks at every session's deadlines, some at a time between turns of the loop, so that 20,000
 * heartbeats that fall due together hold nobody's message up. One timer serves all. Of many sessions
 * each is looked at once a second only: with 15,000, sweeps over all were 6 % of a round's CPU time.
 */
export class Sweeper implements SlicedTask {
  readonly #sessions: SessionTable<Session>;
  readonly #turns: FairScheduler;
  readonly #clock: CoarseClock;
  readonly #readMs: () => number;
  readonly #countWrites: () => number;
  #timer: ReturnType<typeof setInterval> | undefined;
  /** The slot that is looked at next; a round goes from the highest down. */
  #slot = -1;
  /** Where this sweep ends. */
  #lastSlot = 0;
  #sweptMs: number;

  /**
   * @param readMs A monotonic clock, in milliseconds.
   * @param countWrites How many writes the server has made, to keep a slice in its budget.
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
    // Time in which the process itself stood still is no client's fault.
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
