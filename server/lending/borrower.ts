import type { CoarseClock } from "../timing/coarse_clock.ts";
import type { Waiter } from "../flow/gate.ts";
import { ANSWER_DEADLINE_MS, MAX_RECENT_ADDRESSES } from "../limits.ts";
import { Lease, type LeaseHost } from "./lease.ts";
import {
  type AllTerms,
  type Claim,
  kindOf,
  type Notice,
  ownShare,
  type PermitKey,
} from "./terms.ts";

/** What a {@linkcode Borrower} is given. */
export interface BorrowerOptions {
  readonly terms: AllTerms;
  /** How many workers the server has. */
  readonly workers: number;
  readonly clock: CoarseClock;
  /** Sends the supervisor what a worker claims. Each time one {@linkcode Borrower.hear} answers. */
  readonly send: (claims: readonly Claim[]) => void;
  /** Runs a task on the next turn of the event loop. */
  readonly nextTurn: (task: () => void) => void;
}

/**
 * A worker's side of the limits that hold for all workers together: its leases, and those who wait
 * until it's settled whether there is room for them.
 *
 * It sends one message a turn at most, and none while the last isn't answered: the busier the
 * supervisor, the more each message says. Where no answer comes for a second, the worker goes on with
 * what it has in hand until one does.
 */
export class Borrower implements LeaseHost {
  isAlone = false;
  readonly #options: BorrowerOptions;
  readonly #leases = new Map<PermitKey, Lease>();
  /** Those of rates that are the worker's own, the oldest in front. */
  readonly #ownRates = new Set<Lease>();
  /** Those of places that have come to be the worker's own lately, and may not be in use. */
  readonly #ownPlaces = new Set<Lease>();
  readonly #shared = new Set<Lease>();
  /** Those that have something to tell. */
  readonly #noted = new Set<Lease>();
  #waiters = new Set<Waiter>();
  #isScheduled = false;
  #sentMs: number | undefined;

  constructor(options: BorrowerOptions) {
    this.#options = options;
  }

  get nowMs(): number {
    return this.#options.clock.nowMs;
  }

  /** How many keys are remembered. */
  get size(): number {
    return this.#leases.size;
  }

  /** The worker's permits for a key. To be looked up each time: an unused lease is forgotten. */
  lease(key: PermitKey): Lease {
    let lease = this.#leases.get(key);
    if (lease !== undefined) return lease;
    const { terms, workers } = this.#options;
    const ofKind = terms[kindOf(key)];
    lease = new Lease(key, ofKind, ownShare(ofKind, workers), this);
    this.#leases.set(key, lease);
    if (lease.isOwn) this.onOwn(lease);
    else this.onShared(lease);
    return lease;
  }

  /**
   * Calls the waiter, on a turn of its own, when what is unsettled may be settled. It has to ask all
   * its leases again then. One that asks and is answered `unsettled` has to wait on the same turn.
   */
  wait(waiter: Waiter): void {
    this.#waiters.add(waiter);
  }

  /** The waiter is gone and must not be called any more. */
  leave(waiter: Waiter): void {
    this.#waiters.delete(waiter);
  }

  /**
   * Takes what the supervisor says.
   *
   * @param isAnswer Whether that answers what was sent last.
   */
  hear(notices: readonly Notice[], isAnswer: boolean): void {
    for (const notice of notices) this.lease(notice.key).hear(notice);
    if (isAnswer) {
      this.#sentMs = undefined;
      this.isAlone = false;
    }
    if (notices.length > 0) this.resumeAll();
    // What the waiters didn't take goes back, if it has to.
    this.#flushSoon();
  }

  /** Looks at deadlines, and forgets what is over. To be called about once a sweep. */
  sweep(): void {
    for (const lease of this.#shared) {
      lease.sweep();
      this.#forgetIfOver(lease);
    }
    for (const lease of this.#ownRates) this.#forgetIfOver(lease);
    for (const lease of this.#ownPlaces) this.#forgetIfOver(lease);
    this.#ownPlaces.clear();
    if (this.#sentMs === undefined || this.nowMs - this.#sentMs < ANSWER_DEADLINE_MS) return;
    this.isAlone = true;
    this.resumeAll();
  }

  /** Whether a key's permits are places, which are given back. */
  isPlace(key: PermitKey): boolean {
    return this.#options.terms[kindOf(key)].perSecond === 0;
  }

  /** Gives back a place, and forgets the key if it was the last. */
  giveBack(key: PermitKey): void {
    const lease = this.lease(key);
    lease.giveBack();
    if (lease.isOwn) this.#forgetIfOver(lease);
  }

  note(lease: Lease): void {
    this.#noted.add(lease);
    this.#flushSoon();
  }

  onShared(lease: Lease): void {
    this.#ownRates.delete(lease);
    this.#ownPlaces.delete(lease);
    this.#shared.add(lease);
  }

  onOwn(lease: Lease): void {
    this.#shared.delete(lease);
    if (this.isPlace(lease.key)) {
      this.#ownPlaces.add(lease);
      return;
    }
    this.#ownRates.add(lease);
    if (this.#ownRates.size <= MAX_RECENT_ADDRESSES) return;
    for (const oldest of this.#ownRates) return this.#forget(oldest);
  }

  #forgetIfOver(lease: Lease): void {
    if (lease.isForgettable) this.#forget(lease);
  }

  #forget(lease: Lease): void {
    this.#leases.delete(lease.key);
    this.#ownRates.delete(lease);
    this.#ownPlaces.delete(lease);
    this.#shared.delete(lease);
    this.#noted.delete(lease);
  }

  /** Has all ask again that wait, since what is unsettled may be settled. */
  resumeAll(): void {
    const waiters = this.#waiters;
    if (waiters.size === 0) return;
    this.#waiters = new Set();
    // They all ask anew.
    for (const lease of this.#noted) lease.resetWanting();
    for (const waiter of waiters) waiter.resume();
  }

  #flushSoon(): void {
    if (this.#isScheduled || this.#noted.size === 0 || this.#sentMs !== undefined) return;
    this.#isScheduled = true;
    this.#options.nextTurn(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#sentMs !== undefined) return;
    const claims: Claim[] = [];
    for (const lease of this.#noted) {
      const claim = lease.claim();
      if (claim !== undefined) claims.push(claim);
    }
    this.#noted.clear();
    if (claims.length === 0) return;
    this.#sentMs = this.nowMs;
    this.#options.send(claims);
  }
}
