/**
 * How the bots of a process get to be connected and subscribed: not all at once, and not at the first
 * try.
 *
 * @module
 */

/** Why an attempt to get a bot subscribed came to nothing, and how often. */
export type Tally = Record<string, number>;

/** How far the bots have come. */
export interface EnlistmentProgress {
  /** Bots that the server has greeted. */
  readonly greeted: number;
  /** Bots that are subscribed. */
  readonly subscribed: number;
}

/** How it ended. */
export interface EnlistmentOutcome extends EnlistmentProgress {
  /** Attempts that failed, those included that were made again with success. */
  readonly failedAttempts: Tally;
  /** Bots that were given up. */
  readonly givenUp: number;
  /** When the last one subscribed, or else when it was over; by `performance.now()`. */
  readonly endedAtMs: number;
}

/** How an enlistment goes about it. */
export interface EnlistmentPlan {
  /** How many bots there are. */
  readonly size: number;
  /** How many may be between connecting and the server's greeting. */
  readonly maxConnecting: number;
  /** Milliseconds without any greeting or subscription after which the rest is given up. */
  readonly stallMs: number;
  /**
   * Makes one attempt to connect a bot. Resolves when there is a connection, rejects when there
   * can't be one; an error's `code` is what the tally counts.
   */
  readonly connect: (index: number) => Promise<void>;
  /** Drops a connected bot that is given up. */
  readonly abandon: (index: number) => void;
}

/** A 2009 client tried for ever. 20 times is over a second: long enough for a server that restarts. */
export const MAX_ATTEMPTS = 20;

/** The longest pause before another attempt, in milliseconds; the shortest is 1. */
const MAX_RETRY_PAUSE_MS = 100;

/** How often the one timer looks for bots that may try again, and for a stall. */
const TICK_MS = 10;

const IDLE = 0;
const CONNECTING = 1;
const GREETED = 2;
const SUBSCRIBED = 3;
const GIVEN_UP = 4;

interface Retry {
  readonly index: number;
  /** By `performance.now()`. */
  readonly dueMs: number;
}

/** The setup phase of one process's bots. Without bots it is over at once. */
export class Enlistment {
  readonly #plan: EnlistmentPlan;
  readonly #states: Uint8Array;
  readonly #attempts: Uint8Array;
  readonly #failedAttempts: Tally = {};
  #retries: Retry[] = [];
  #next = 0;
  #connecting = 0;
  #greeted = 0;
  #subscribed = 0;
  #givenUp = 0;
  #lastProgressMs = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #finish: (outcome: EnlistmentOutcome) => void = () => {};

  constructor(plan: EnlistmentPlan) {
    this.#plan = plan;
    this.#states = new Uint8Array(plan.size);
    this.#attempts = new Uint8Array(plan.size);
  }

  /** Connects and subscribes everyone; resolves when each bot is subscribed or given up. Once only. */
  run(): Promise<EnlistmentOutcome> {
    this.#lastProgressMs = performance.now();
    return new Promise((resolve) => {
      this.#finish = resolve;
      this.#timer = setInterval(() => this.#tick(), TICK_MS);
      this.#fill();
      this.#checkEnd();
    });
  }

  get progress(): EnlistmentProgress {
    return { greeted: this.#greeted, subscribed: this.#subscribed };
  }

  /** The server has greeted a bot. */
  onGreeted(index: number): void {
    if (this.#states[index] !== CONNECTING) return;
    this.#states[index] = GREETED;
    this.#connecting--;
    this.#greeted++;
    this.#lastProgressMs = performance.now();
    this.#fill();
  }

  /** A bot is subscribed. */
  onSubscribed(index: number): void {
    if (this.#states[index] !== GREETED) return;
    this.#states[index] = SUBSCRIBED;
    this.#subscribed++;
    this.#lastProgressMs = performance.now();
    this.#checkEnd();
  }

  /** The server won't have a bot: it isn't asked again. */
  onRefused(index: number): void {
    if (this.#states[index] === SUBSCRIBED || this.#states[index] === GIVEN_UP) return;
    this.#giveUp(index);
    this.#fill();
    this.#checkEnd();
  }

  /** A bot's connection is gone. */
  onClosed(index: number): void {
    this.#fail(index, "closed_before_subscribed");
  }

  #tick(): void {
    const now = performance.now();
    if (this.#retries.some((retry) => retry.dueMs <= now)) this.#fill();
    if (now - this.#lastProgressMs > this.#plan.stallMs) {
      for (let index = 0; index < this.#states.length; index++) {
        if (this.#states[index] !== SUBSCRIBED && this.#states[index] !== GIVEN_UP) {
          this.#giveUp(index);
        }
      }
    }
    this.#checkEnd();
  }

  #fill(): void {
    const due = this.#takeDueRetries();
    while (this.#connecting < this.#plan.maxConnecting) {
      const retry = due.pop();
      if (retry !== undefined) this.#connect(retry.index);
      else if (this.#next < this.#plan.size) this.#connect(this.#next++);
      else break;
    }
    for (const retry of due) this.#retries.push(retry);
  }

  #takeDueRetries(): Retry[] {
    if (this.#retries.length === 0) return [];
    const now = performance.now();
    const due = this.#retries.filter((retry) => retry.dueMs <= now);
    if (due.length > 0) this.#retries = this.#retries.filter((retry) => retry.dueMs > now);
    return due;
  }

  #connect(index: number): void {
    if (this.#states[index] !== IDLE) return;
    this.#states[index] = CONNECTING;
    this.#attempts[index]!++;
    this.#connecting++;
    this.#plan.connect(index).then(
      () => {
        if (this.#states[index] === GIVEN_UP) this.#plan.abandon(index);
      },
      (error) => this.#fail(index, String((error as { code?: unknown }).code)),
    );
  }

  #fail(index: number, reason: string): void {
    const state = this.#states[index];
    if (state !== CONNECTING && state !== GREETED) return;
    this.#failedAttempts[reason] = (this.#failedAttempts[reason] ?? 0) + 1;
    if (this.#attempts[index]! >= MAX_ATTEMPTS) this.#giveUp(index);
    else {
      this.#leave(index, IDLE);
      const pauseMs = 1 + Math.random() * (MAX_RETRY_PAUSE_MS - 1);
      this.#retries.push({ index, dueMs: performance.now() + pauseMs });
    }
    this.#fill();
    this.#checkEnd();
  }

  #giveUp(index: number): void {
    this.#leave(index, GIVEN_UP);
    this.#givenUp++;
    this.#plan.abandon(index);
  }

  #leave(index: number, to: typeof IDLE | typeof GIVEN_UP): void {
    const from = this.#states[index];
    this.#states[index] = to;
    if (from === CONNECTING) this.#connecting--;
    if (from === GREETED && to === IDLE) this.#greeted--;
  }

  #checkEnd(): void {
    if (this.#subscribed + this.#givenUp < this.#plan.size) return;
    clearInterval(this.#timer);
    this.#finish({
      ...this.progress,
      failedAttempts: this.#failedAttempts,
      givenUp: this.#givenUp,
      endedAtMs: this.#lastProgressMs,
    });
  }
}
