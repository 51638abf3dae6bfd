/**
 * Connects and subscribes the bots of a process step by step, and tries again where an attempt fails.
 *
 * @module
 */

import type { Tally } from "../measures/tally.ts";

/** The numbers of bots greeted and subscribed so far. */
export interface RampUpProgress {
  /** Bots that the server has greeted. */
  readonly greeted: number;
  /** Bots that are subscribed. */
  readonly subscribed: number;
  /** Failed attempts by reason, including those that were repeated with success. */
  readonly failedAttempts: Tally;
}

/** The result of a ramp-up. */
export interface RampUpOutcome extends RampUpProgress {
  /** Bots that were given up. */
  readonly givenUp: number;
  /**
   * The moment at which the last bot subscribed or was given up, in milliseconds by `performance.now()`.
   */
  readonly endedAtMs: number;
}

/** The plan of a ramp-up. */
export interface RampUpPlan {
  /** The number of bots. */
  readonly size: number;
  /** The most bots that may be between connecting and the server's greeting. */
  readonly maxConnecting: number;
  /**
   * The number of times that a bot tries again. `"forever"`, as in 2009: also after a refusal, after any
   * time without progress, and after a lost subscription.
   */
  readonly retries: number | "forever";
  /**
   * Milliseconds without a greeting, a subscription or a failed attempt, after which the remaining bots
   * are given up.
   */
  readonly stallMs: number;
  /** Makes one attempt to connect a bot. Rejects if it fails; the tally counts the error's `code`. */
  readonly connect: (index: number) => Promise<void>;
  /** Drops a connected bot that is given up. */
  readonly abandon: (index: number) => void;
}

/** The most bots between connecting and the greeting, so that no usual backlog overflows. */
export const MAX_CONNECTING = 256;

/**
 * The default of `--retries`. So many attempts take over a second: long enough for a server that
 * restarts.
 */
export const DEFAULT_RETRIES = 20;

/** The longest pause before another attempt, in milliseconds; the shortest is 1. As in 2009. */
const RETRY_PAUSE_MS = 100;

/** After so many failed attempts, each further one doubles the bound of the pause. */
const PROMPT_ATTEMPTS = 20;

/**
 * Milliseconds. No pause is longer, so that a server that comes back is found soon. It isn't shorter, so
 * that an absent server isn't flooded.
 */
const LONGEST_PAUSE_MS = 2000;

/** Milliseconds between two looks of the timer for bots that may try again, and for a stall. */
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

/**
 * Gets the bots of one process subscribed; with `"forever"` also those that lose their subscription
 * later.
 */
export class RampUp {
  readonly #plan: RampUpPlan;
  readonly #maxAttempts: number;
  readonly #states: Uint8Array;
  /** Attempts since the last subscription. */
  readonly #attempts: Uint32Array;
  /** 1 for a bot that lost its subscription, 2 for one that got another one since. */
  readonly #losses: Uint8Array;
  readonly #failedAttempts: Tally = {};
  /** Bots that wait for their next attempt. */
  #retries: Retry[] = [];
  /** Bots that may make their next attempt now. */
  #due: number[] = [];
  #next = 0;
  #connecting = 0;
  #greeted = 0;
  #subscribed = 0;
  #givenUp = 0;
  #cameBack = 0;
  #lastProgressMs = 0;
  /** The moment of the last progress, or of the last failed attempt that will be repeated. */
  #lastMoveMs = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #completion: PromiseWithResolvers<void> | null = null;
  #isOver = false;

  constructor(plan: RampUpPlan) {
    this.#plan = plan;
    this.#maxAttempts = plan.retries === "forever" ? Infinity : plan.retries + 1;
    this.#states = new Uint8Array(plan.size);
    this.#attempts = new Uint32Array(plan.size);
    this.#losses = new Uint8Array(plan.size);
  }

  /** Connects and subscribes all bots. Resolves when each is subscribed or given up. Call it once. */
  async run(): Promise<RampUpOutcome> {
    this.#lastProgressMs = performance.now();
    this.#startTimer();
    this.#fill();
    await this.complete();
    return { ...this.progress, givenUp: this.#givenUp, endedAtMs: this.#lastProgressMs };
  }

  /** Resolves when no bot is on its way to a subscription, whether its first or a later one. */
  complete(): Promise<void> {
    this.#completion ??= Promise.withResolvers();
    const { promise } = this.#completion;
    this.#checkEnd();
    return promise;
  }

  get progress(): RampUpProgress {
    return {
      greeted: this.#greeted,
      subscribed: this.#subscribed,
      failedAttempts: { ...this.#failedAttempts },
    };
  }

  /** Bots that are on their way to a subscription. */
  get missing(): number {
    return this.#plan.size - this.#subscribed - this.#givenUp;
  }

  /** Bots that lost their subscription and got another one later. */
  get cameBack(): number {
    return this.#cameBack;
  }

  /** Connects no bot from now on. May be called more than once. */
  stop(): void {
    this.#isOver = true;
    clearInterval(this.#timer);
    this.#timer = undefined;
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
    this.#attempts[index] = 0;
    if (this.#losses[index] === 1) {
      this.#losses[index] = 2;
      this.#cameBack++;
    }
    this.#lastProgressMs = performance.now();
    this.#checkEnd();
  }

  /** The server refused a bot. The bot doesn't try again, except with `"forever"`. */
  onRefused(index: number): void {
    if (this.#isOver) return;
    if (this.#plan.retries === "forever") return this.#plan.abandon(index);
    if (this.#states[index] === SUBSCRIBED || this.#states[index] === GIVEN_UP) return;
    this.#giveUp(index);
    this.#fill();
    this.#checkEnd();
  }

  /** A bot's connection is gone. */
  onClosed(index: number): void {
    const state = this.#states[index];
    if (state === SUBSCRIBED) return this.#lose(index);
    this.#fail(index, state === GREETED ? "closed_before_subscribed" : "closed_before_greeting");
  }

  #lose(index: number): void {
    if (this.#plan.retries !== "forever" || this.#isOver) return;
    if (this.#losses[index] === 0) this.#losses[index] = 1;
    this.#subscribed--;
    this.#lastProgressMs = performance.now();
    this.#leave(index, IDLE);
    this.#retryLater(index);
    this.#startTimer();
  }

  #startTimer(): void {
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
  }

  #tick(): void {
    const now = performance.now();
    const waiting: Retry[] = [];
    for (const retry of this.#retries) {
      if (retry.dueMs <= now) this.#due.push(retry.index);
      else waiting.push(retry);
    }
    this.#retries = waiting;
    this.#fill();
    const lastMs = Math.max(this.#lastProgressMs, this.#lastMoveMs);
    const isStalled = now - lastMs > this.#plan.stallMs;
    if (isStalled && this.#plan.retries !== "forever") this.#giveUpTheRest();
    this.#checkEnd();
  }

  #giveUpTheRest(): void {
    for (let index = 0; index < this.#states.length; index++) {
      if (this.#states[index] !== SUBSCRIBED && this.#states[index] !== GIVEN_UP) {
        this.#giveUp(index);
      }
    }
  }

  #fill(): void {
    if (this.#isOver) return;
    while (this.#connecting < this.#plan.maxConnecting) {
      const again = this.#due.pop();
      if (again !== undefined) this.#connect(again);
      else if (this.#next < this.#plan.size) this.#connect(this.#next++);
      else break;
    }
  }

  #connect(index: number): void {
    if (this.#states[index] !== IDLE) return;
    this.#states[index] = CONNECTING;
    this.#attempts[index]!++;
    this.#connecting++;
    this.#plan.connect(index).then(
      () => {
        if (this.#isOver || this.#states[index] === GIVEN_UP) this.#plan.abandon(index);
      },
      (error) => this.#fail(index, String((error as { code?: unknown }).code)),
    );
  }

  #fail(index: number, reason: string): void {
    const state = this.#states[index];
    if ((state !== CONNECTING && state !== GREETED) || this.#isOver) return;
    this.#failedAttempts[reason] = (this.#failedAttempts[reason] ?? 0) + 1;
    if (this.#attempts[index]! >= this.#maxAttempts) this.#giveUp(index);
    else {
      this.#leave(index, IDLE);
      this.#retryLater(index);
    }
    this.#fill();
    this.#checkEnd();
  }

  #retryLater(index: number): void {
    const doublings = Math.min(Math.max(this.#attempts[index]! - PROMPT_ATTEMPTS, 0), 16);
    const longestMs = Math.min(RETRY_PAUSE_MS * 2 ** doublings, LONGEST_PAUSE_MS);
    const pauseMs = 1 + Math.random() * (longestMs - 1);
    this.#lastMoveMs = performance.now();
    this.#retries.push({ index, dueMs: this.#lastMoveMs + pauseMs });
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
    if ((from === GREETED || from === SUBSCRIBED) && to === IDLE) this.#greeted--;
  }

  #checkEnd(): void {
    if (this.missing > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#completion?.resolve();
    this.#completion = null;
  }
}
