import { clockMs } from "../measures/clock.ts";
import type { Tally } from "../measures/tally.ts";
import { backoffMs } from "./backoff.ts";

/** A time in which one bot had no subscription. */
export interface Outage {
  /** When the connection was gone, by {@linkcode clockMs}. */
  readonly lostAtMs: number;
  /** When the bot was subscribed again; `null` for not at all. */
  readonly backAtMs: number | null;
}

/** What befell one process's bots. */
export interface SquadStorm {
  /** Of all bots; one may have had several. */
  readonly outages: readonly Outage[];
  /** Bots that had any. */
  readonly struck: number;
  /** Connections that were tried for. */
  readonly attempts: number;
  /** Attempts that failed, by reason. */
  readonly failedAttempts: Tally;
  /** What the server said to those whose connection it ended, or refused. */
  readonly told: Tally;
  /** How often it said when to come back. */
  readonly appointments: number;
}

/** How far a storm has come. */
export interface StormProgress {
  /** Bots that have lost a connection so far. */
  readonly struck: number;
  /** Bots that are without one now. */
  readonly out: number;
  /** When one was lost or had again, or is due to be tried for because the server said so; by {@linkcode clockMs}. */
  readonly lastChangeMs: number;
}

/** What a reconnection needs. */
export interface ReconnectionPlan {
  readonly size: number;
  /** Makes one attempt; rejects when there can't be a connection, with a `code` in the error. */
  readonly connect: (index: number) => Promise<void>;
  /** Drops a connection that doesn't get as far as a subscription. */
  readonly abandon: (index: number) => void;
}

/** How long a connection may take from being asked for to being subscribed. */
const ATTEMPT_MS = 10_000;

/** A server that says to come back later than this isn't believed. */
const MAX_APPOINTMENT_MS = 3_600_000;

/** Bots that lose their connections and come back, each by itself. */
export class Reconnection {
  readonly #plan: ReconnectionPlan;
  /** By {@linkcode clockMs}; 0 for a bot that isn't out. */
  readonly #lostAtMs: Float64Array;
  readonly #failures: Uint8Array;
  readonly #isStruck: Uint8Array;
  /** What the server said just before it closed. */
  readonly #appointments = new Map<number, number>();
  readonly #timers = new Map<number, ReturnType<typeof setTimeout>>();
  readonly #outages: Outage[] = [];
  readonly #failedAttempts: Tally = {};
  readonly #told: Tally = {};
  #appointmentCount = 0;
  #attempts = 0;
  #struck = 0;
  #out = 0;
  #lastChangeMs = 0;
  #isOver = false;

  constructor(plan: ReconnectionPlan) {
    this.#plan = plan;
    this.#lostAtMs = new Float64Array(plan.size);
    this.#failures = new Uint8Array(plan.size);
    this.#isStruck = new Uint8Array(plan.size);
  }

  get progress(): StormProgress {
    return { struck: this.#struck, out: this.#out, lastChangeMs: this.#lastChangeMs };
  }

  /** The server said why it will close, and perhaps after how many milliseconds to come back. */
  onTold(index: number, reason: string, retryAfterMs: number | null): void {
    this.#told[reason] = (this.#told[reason] ?? 0) + 1;
    if (retryAfterMs === null) return;
    this.#appointmentCount++;
    this.#appointments.set(index, Math.min(retryAfterMs, MAX_APPOINTMENT_MS));
  }

  /**
   * A bot's connection is gone.
   *
   * @param wasSubscribed Or else it was an attempt.
   */
  onClosed(index: number, wasSubscribed: boolean): void {
    if (wasSubscribed) {
      this.#lastChangeMs = clockMs();
      this.#lostAtMs[index] = this.#lastChangeMs;
      this.#failures[index] = 0;
      this.#out++;
      if (this.#isStruck[index] === 0) this.#struck++;
      this.#isStruck[index] = 1;
      this.#comeBackLater(index);
    } else this.#fail(index, "closed_before_subscribed");
  }

  /** A bot is subscribed. */
  onSubscribed(index: number): void {
    const lostAtMs = this.#lostAtMs[index]!;
    if (lostAtMs === 0) return;
    this.#cancel(index);
    this.#lastChangeMs = clockMs();
    this.#lostAtMs[index] = 0;
    this.#out--;
    this.#outages.push({ lostAtMs, backAtMs: this.#lastChangeMs });
  }

  /** Nobody comes back any more. Once only. */
  end(): SquadStorm {
    this.#isOver = true;
    for (const index of [...this.#timers.keys()]) this.#cancel(index);
    for (const lostAtMs of this.#lostAtMs) {
      if (lostAtMs > 0) this.#outages.push({ lostAtMs, backAtMs: null });
    }
    return {
      outages: this.#outages,
      struck: this.#struck,
      attempts: this.#attempts,
      failedAttempts: this.#failedAttempts,
      told: this.#told,
      appointments: this.#appointmentCount,
    };
  }

  #comeBackLater(index: number): void {
    if (this.#isOver) return;
    const appointmentMs = this.#appointments.get(index);
    this.#appointments.delete(index);
    const waitMs = appointmentMs ?? backoffMs(this.#failures[index]!);
    if (appointmentMs !== undefined) {
      this.#lastChangeMs = Math.max(this.#lastChangeMs, clockMs() + waitMs);
    }
    this.#after(index, waitMs, () => this.#attempt(index));
  }

  #attempt(index: number): void {
    this.#attempts++;
    this.#after(index, ATTEMPT_MS, () => this.#plan.abandon(index));
    this.#plan.connect(index).catch((error: { code?: unknown }) => {
      this.#fail(index, String(error.code));
    });
  }

  #fail(index: number, reason: string): void {
    if (this.#isOver) return;
    this.#failedAttempts[reason] = (this.#failedAttempts[reason] ?? 0) + 1;
    if (this.#failures[index]! < 255) this.#failures[index]!++;
    this.#comeBackLater(index);
  }

  #after(index: number, ms: number, act: () => void): void {
    this.#cancel(index);
    this.#timers.set(
      index,
      setTimeout(() => {
        this.#timers.delete(index);
        act();
      }, ms),
    );
  }

  #cancel(index: number): void {
    clearTimeout(this.#timers.get(index));
    this.#timers.delete(index);
  }
}
