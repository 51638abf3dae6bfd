import { clockMs } from "../measures/clock.ts";
import type { Tally } from "../measures/tally.ts";
import { backoffMs } from "./backoff.ts";
import type { GroupResumption } from "./resumption.ts";

/** A time during which one bot had no subscription. Milliseconds by {@linkcode clockMs}. */
export interface Outage {
  /** The moment at which the connection was lost. */
  readonly lostAtMs: number;
  /** The moment at which the bot was subscribed again; `null` if it never was. */
  readonly backAtMs: number | null;
}

/** The result of a storm for the bots of one process. */
export interface GroupStorm {
  /** The outages of all bots. A bot may have had several. */
  readonly outages: readonly Outage[];
  /** Bots that had at least one outage. */
  readonly struck: number;
  /** Attempts to connect again. */
  readonly attempts: number;
  /** Failed attempts by reason. */
  readonly failedAttempts: Tally;
  /** The server's refusals and goodbyes, counted by reason. */
  readonly told: Tally;
  /** The number of times that the server said when to come back. */
  readonly appointments: number;
  /** The messages that bots got which came back with their positions; `null` if they came without. */
  readonly resumption: GroupResumption | null;
}

/** The settings of a storm, as {@linkcode Reconnection} uses them. */
export type Outages = Omit<GroupStorm, "resumption">;

/** The state of a storm so far. */
export interface StormProgress {
  /** Bots that lost a connection so far. */
  readonly struck: number;
  /** Bots without a connection now. */
  readonly out: number;
  /** Bots that are connected, and haven't got all that they were told to have missed. */
  readonly behind: number;
  /**
   * The latest moment at which a connection was lost or restored, or at which the server told a bot to
   * come back (which may be in the future). By {@linkcode clockMs}.
   */
  readonly lastChangeMs: number;
}

/** The plan of a reconnection. */
export interface ReconnectionPlan {
  readonly size: number;
  /** Makes one attempt to connect a bot. Rejects if it fails, with a `code` in the error. */
  readonly connect: (index: number) => Promise<void>;
  /** Drops a connection that didn't get as far as a subscription. */
  readonly abandon: (index: number) => void;
}

/** Milliseconds from a connect to the subscription, after which the attempt is given up. */
const ATTEMPT_MS = 10_000;

/** Milliseconds. A longer `retry_after_ms` is cut to this. */
const MAX_APPOINTMENT_MS = 3_600_000;

/** Brings bots back that lose their connections, each by itself. */
export class Reconnection {
  readonly #plan: ReconnectionPlan;
  /** The moment of each bot's loss by {@linkcode clockMs}; 0 for a bot that has a subscription. */
  readonly #lostAtMs: Float64Array;
  readonly #failures: Uint8Array;
  readonly #isStruck: Uint8Array;
  /** The `retry_after_ms` that the server sent just before it closed, by bot. */
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

  get progress(): Omit<StormProgress, "behind"> {
    return { struck: this.#struck, out: this.#out, lastChangeMs: this.#lastChangeMs };
  }

  /** The server said why it is about to close, and perhaps after how many milliseconds to come back. */
  onTold(index: number, reason: string, retryAfterMs: number | null): void {
    this.#told[reason] = (this.#told[reason] ?? 0) + 1;
    if (retryAfterMs === null) return;
    this.#appointmentCount++;
    this.#appointments.set(index, Math.min(retryAfterMs, MAX_APPOINTMENT_MS));
  }

  /**
   * A bot's connection is gone.
   *
   * @param wasSubscribed False if the connection was an attempt that hadn't been subscribed yet.
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

  /** Ends the storm: no bot comes back from now on. Call it once. */
  end(): Outages {
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
