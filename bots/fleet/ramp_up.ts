/**
 * How the bots of a process get to be connected and subscribed: not all at once, and not at the first
 * try.
 *
 * @module
 */

import type { Tally } from "../measures/tally.ts";

/** How far the bots have come. */
export interface EnlistmentProgress {
  /** Bots that the server has greeted. */
  readonly greeted: number;
  /** Bots that are subscribed. */
  readonly subscribed: number;
  /** Attempts that failed, those included that were made again with success. */
  readonly failedAttempts: Tally;
}

/** How it ended. */
export interface EnlistmentOutcome extends EnlistmentProgress {
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
  /**
   * How often a bot tries again. `"forever"` as in 2009: whatever the server says, however long nothing
   * moves, and also when it loses its subscription.
   */
  readonly retries: number | "forever";
  /**
   * Milliseconds after which the rest is given up, if there was no greeting, no subscription and no attempt
   * that failed.
   */
  readonly stallMs: number;
  /**
   * Makes one attempt to connect a bot. Resolves when there is a connection, rejects when there
   * can't be one; an error's `code` is what the tally counts.
   */
  readonly connect: (index: number) => Promise<void>;
  /** Drops a connected bot that is given up. */
  readonly abandon: (index: number) => void;
}

/** How many may be between connecting and the server's greeting, so that no usual backlog overflows. */
export const MAX_CONNECTING = 256;

/** So many take over a second: long enough for a server that restarts. */
export const DEFAULT_RETRIES = 20;

/** The longest pause before another attempt, in milliseconds; the shortest is 1. As in 2009. */
const RETRY_PAUSE_MS = 100;

/** After so many attempts in vain, one more at most doubles the pause. */
const PROMPT_ATTEMPTS = 20;

/** No pause is longer: so a server that comes back is found soon, and one that doesn't isn't stormed. */
const LONGEST_PAUSE_MS = 2000;

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

/** Gets one process's bots subscribed, and keeps them so where they try for ever. */
export class Enlistment {
  readonly #plan: EnlistmentPlan;
  readonly #maxAttempts: number;
  readonly #states: Uint8Array;
  /** Since the last subscription. */
  readonly #attempts: Uint32Array;
  /** 1 for a bot that has lost a subscription, 2 for one that has had another since. */
  readonly #losses: Uint8Array;
  readonly #failedAttempts: Tally = {};
  /** Bots that wait for their next attempt. */
  #retries: Retry[] = [];
  /** Bots that may make it now. */
  #due: number[] = [];
  #next = 0;
  #connecting = 0;
  #greeted = 0;
  #subscribed = 0;
  #givenUp = 0;
  #cameBack = 0;
  #lastProgressMs = 0;
  /** The same, or when an attempt failed that is to be made again. */
  #lastMoveMs = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #completion: PromiseWithResolvers<void> | null = null;
  #isOver = false;

  constructor(plan: EnlistmentPlan) {
    this.#plan = plan;
    this.#maxAttempts = plan.retries === "forever" ? Infinity : plan.retries + 1;
    this.#states = new Uint8Array(plan.size);
    this.#attempts = new Uint32Array(plan.size);
    this.#losses = new Uint8Array(plan.size);
  }

  /** Connects and subscribes everyone; resolves when each bot is subscribed or given up. Once only. */
  async run(): Promise<EnlistmentOutcome> {
    this.#lastProgressMs = performance.now();
    this.#startTimer();
    this.#fill();
    await this.complete();
    return { ...this.progress, givenUp: this.#givenUp, endedAtMs: this.#lastProgressMs };
  }

  /** Resolves when no bot is on its way to a subscription, the first or another. */
  complete(): Promise<void> {
    this.#completion ??= Promise.withResolvers();
    const { promise } = this.#completion;
    this.#checkEnd();
    return promise;
  }

  get progress(): EnlistmentProgress {
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

  /** Bots that had lost their subscription, and had another later. */
  get cameBack(): number {
    return this.#cameBack;
  }

  /** From now on no bot is connected any more; idempotent. */
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

  /** The server won't have a bot: it isn't asked again, unless bots try for ever. */
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
