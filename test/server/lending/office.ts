/**
 * A supervisor's ledger and its workers' borrowers, with messages that take their time, on a clock of
 * the test's own.
 *
 * @module
 */

import { CoarseClock } from "../../../server/timing/coarse_clock.ts";
import { Borrower } from "../../../server/lending/borrower.ts";
import { Ledger } from "../../../server/lending/ledger.ts";
import {
  type AllTerms,
  type Claim,
  kindOf,
  type Notice,
  type PermitKey,
  type Terms,
} from "../../../server/lending/terms.ts";

/** A source of whole numbers from 0 to below what is asked. */
export type Dice = (below: number) => number;

/** The same numbers for the same seed (mulberry32). */
export function diceOf(seed: number): Dice {
  let state = seed;
  return (below) => {
    state = state + 0x6d2b79f5 | 0;
    let t = Math.imul(state ^ state >>> 15, 1 | state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return Math.floor(((t ^ t >>> 14) >>> 0) / 4_294_967_296 * below);
  };
}

/** Runs a test with so many seeds; one that fails is named. */
export function eachSeed(runs: number, body: (seed: number) => void): void {
  for (let run = 0; run < runs; run++) {
    const seed = Math.floor(Math.random() * 2 ** 31);
    try {
      body(seed);
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
}

/** Terms under which each kind of limit has the same. */
export function sameTerms(terms: Terms): AllTerms {
  return { connections: terms, topics: terms, address: terms, accepts: terms, wrongKeys: terms };
}

interface Message {
  readonly atMs: number;
  readonly arrive: () => void;
}

/** One that asked for a permit. */
export interface Applicant {
  readonly key: PermitKey;
  readonly askedMs: number;
  outcome: "waits" | "admitted" | "refused" | "gone";
  settledMs: number;
}

/** One worker. */
export class Clerk {
  readonly borrower: Borrower;
  readonly clock = new CoarseClock(0);
  readonly admitted: Applicant[] = [];
  readonly office: Office;
  isAlive = true;
  /** Takes nothing in, as a process that is stopped. */
  isHanging = false;
  #turnTasks: (() => void)[] = [];
  /** When the last message of each direction arrives: they keep their order. */
  #lastUpMs = 0;
  #lastDownMs = 0;
  readonly #held: (() => void)[] = [];

  constructor(office: Office, workers: number, terms: AllTerms) {
    this.office = office;
    this.borrower = new Borrower({
      terms,
      workers,
      clock: this.clock,
      nextTurn: (task) => this.#turnTasks.push(task),
      send: (claims) => this.#send(claims),
    });
    this.clock.nowMs = office.nowMs;
  }

  /** Asks for a permit; a place is kept, another is spent. */
  apply(key: PermitKey): Applicant {
    const applicant: Applicant = {
      key,
      askedMs: this.office.nowMs,
      outcome: "waits",
      settledMs: NaN,
    };
    const waiter = {
      resume: () => {
        if (applicant.outcome !== "waits") return;
        const lease = this.borrower.lease(key);
        const room = lease.room();
        if (room === "unsettled") return this.borrower.wait(waiter);
        applicant.settledMs = this.office.nowMs;
        applicant.outcome = room === "free" ? "admitted" : "refused";
        if (room === "none") return this.office.onRefused(applicant);
        lease.take();
        this.admitted.push(applicant);
        this.office.onAdmitted(applicant);
      },
    };
    waiter.resume();
    return applicant;
  }

  /** One that was admitted to a place leaves it. */
  release(index: number): void {
    const [applicant] = this.admitted.splice(index, 1);
    if (applicant === undefined) return;
    this.borrower.giveBack(applicant.key);
    this.office.onGone(applicant.key);
  }

  /** Ends, with all that it has. */
  die(): void {
    this.isAlive = false;
    for (const { key } of this.admitted.splice(0)) this.office.onGone(key);
    this.office.onDeath(this);
  }

  turn(): void {
    if (!this.isAlive || this.isHanging) return;
    for (const arrive of this.#held.splice(0)) arrive();
    const tasks = this.#turnTasks;
    this.#turnTasks = [];
    for (const task of tasks) task();
  }

  hear(notices: readonly Notice[], isAnswer: boolean): void {
    const arrive = () => {
      if (this.isAlive) this.borrower.hear(notices, isAnswer);
    };
    this.#lastDownMs = this.office.later(
      () => this.isHanging ? this.#held.push(arrive) : arrive(),
      this.#lastDownMs,
    );
  }

  #send(claims: readonly Claim[]): void {
    const { office } = this;
    this.#lastUpMs = office.later(() => office.take(this, claims), this.#lastUpMs);
  }
}

/** All of them. */
export class Office {
  readonly ledger: Ledger<Clerk>;
  readonly clerks: Clerk[] = [];
  readonly used = new Map<PermitKey, number>();
  readonly #goneMs = new Map<PermitKey, number>();
  #diedMs = -Infinity;
  readonly #terms: AllTerms;
  readonly #workers: number;
  readonly #dice: Dice;
  readonly #maxDelayMs: number;
  readonly #messages: Message[] = [];
  readonly #outboxes = new Map<Clerk, Notice[]>();
  nowMs = 0;
  /** Refused applicants, in order. */
  readonly refused: Applicant[] = [];
  /** Called for each permit that is used. */
  onUse: (key: PermitKey) => void = () => {};
  onRefusal: (applicant: Applicant) => void = () => {};

  constructor(terms: AllTerms, workers: number, dice: Dice, maxDelayMs = 5) {
    this.#terms = terms;
    this.#workers = workers;
    this.#dice = dice;
    this.#maxDelayMs = maxDelayMs;
    this.ledger = new Ledger(terms, workers, (clerk, notice) => {
      const outbox = this.#outboxes.get(clerk);
      if (outbox === undefined) this.#outboxes.set(clerk, [notice]);
      else outbox.push(notice);
    });
    for (let i = 0; i < workers; i++) this.hire();
  }

  /** A new worker joins. */
  hire(): Clerk {
    const clerk = new Clerk(this, this.#workers, this.#terms);
    this.clerks.push(clerk);
    this.ledger.add(clerk);
    // It hears of what is shared before its first client comes.
    const shared = this.#outboxes.get(clerk) ?? [];
    this.#outboxes.delete(clerk);
    clerk.borrower.hear(shared, false);
    return clerk;
  }

  get alive(): Clerk[] {
    return this.clerks.filter(({ isAlive }) => isAlive);
  }

  termsFor(key: PermitKey): Terms {
    return this.#terms[kindOf(key)];
  }

  take(clerk: Clerk, claims: readonly Claim[]): void {
    if (clerk.isAlive) this.ledger.claim(clerk, claims, this.nowMs);
    const answer = this.#outboxes.get(clerk) ?? [];
    this.#outboxes.delete(clerk);
    clerk.hear(answer, true);
  }

  onAdmitted({ key }: Applicant): void {
    this.used.set(key, (this.used.get(key) ?? 0) + 1);
    this.onUse(key);
  }

  onRefused(applicant: Applicant): void {
    this.refused.push(applicant);
    this.onRefusal(applicant);
  }

  onGone(key: PermitKey): void {
    this.used.set(key, (this.used.get(key) ?? 0) - 1);
    this.#goneMs.set(key, this.nowMs);
  }

  /** A worker has died; it may have been promised what it can't use any more. */
  onDeath(clerk: Clerk): void {
    this.#diedMs = this.nowMs;
    this.later(() => this.ledger.remove(clerk, this.nowMs));
  }

  /** When a permit of a key last came free. */
  lastGoneMs(key: PermitKey): number {
    return Math.max(this.#diedMs, this.#goneMs.get(key) ?? -Infinity);
  }

  /** Does something after a while, but not before another thing. */
  later(arrive: () => void, notBeforeMs = 0): number {
    const atMs = Math.max(notBeforeMs, this.nowMs + 1 + this.#dice(this.#maxDelayMs));
    this.#messages.push({ atMs, arrive });
    return atMs;
  }

  /** Does something when so much time has passed. */
  afterwards(ms: number, task: () => void): void {
    this.#messages.push({ atMs: this.nowMs + ms, arrive: task });
  }

  /** Lets a millisecond pass. */
  tick(): void {
    this.nowMs++;
    const due = this.#messages.filter(({ atMs }) => atMs <= this.nowMs);
    for (const message of due) this.#messages.splice(this.#messages.indexOf(message), 1);
    due.sort((a, b) => a.atMs - b.atMs);
    for (const { arrive } of due) arrive();
    if (this.nowMs % 250 === 0) this.ledger.sweep(this.nowMs);
    for (const [clerk, notices] of this.#outboxes) clerk.hear(notices, false);
    this.#outboxes.clear();
    for (const clerk of this.alive) {
      clerk.turn();
      if (clerk.isHanging) continue;
      clerk.clock.nowMs = this.nowMs;
      if (this.nowMs % 250 === 0) clerk.borrower.sweep();
    }
  }

  pass(ms: number): void {
    for (let i = 0; i < ms; i++) this.tick();
  }
}
