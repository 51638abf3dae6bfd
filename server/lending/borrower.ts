import { SetQueue } from "../../runtime/set_queue.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import type { Waiter } from "../flow/gate.ts";
import { MAX_RECENT_ADDRESSES } from "../limits/clients.ts";
import { ANSWER_DEADLINE_MS } from "../limits/processes.ts";
import { Lease, type LeaseHost } from "./lease.ts";
import {
  type AllTerms,
  type Claim,
  kindOf,
  type Notice,
  ownShare,
  type PermitKey,
} from "./terms.ts";

/** The settings of a {@linkcode Borrower}. */
export interface BorrowerOptions {
  readonly terms: AllTerms;
  /** The number of the server's workers. */
  readonly workers: number;
  readonly clock: CoarseClock;
  /** Sends claims to the supervisor, which answers each time: see {@linkcode Borrower.hear}. */
  readonly send: (claims: readonly Claim[]) => void;
  /** Runs a task on the next turn of the event loop. */
  readonly nextTurn: (task: () => void) => void;
}

/**
 * A worker's side of the limits that hold for all workers together: its leases, and the clients that wait
 * until the supervisor has said whether there is room.
 *
 * It sends at most one message in a turn, and none before the last one is answered: the busier the
 * supervisor, the more each message says. If no answer comes for a second, the worker goes on with the
 * permits that it has until one does.
 */
export class Borrower implements LeaseHost {
  isAlone = false;
  readonly #options: BorrowerOptions;
  readonly #leases = new Map<PermitKey, Lease>();
  /** Leases of rates that are the worker's own, the oldest in front. */
  readonly #ownRates = new SetQueue<Lease>();
  /** Leases of places that have lately become the worker's own, and may be unused. */
  readonly #ownPlaces = new Set<Lease>();
  readonly #shared = new Set<Lease>();
  /** Leases that have something to tell the supervisor. */
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

  /** The number of keys that are remembered. */
  get size(): number {
    return this.#leases.size;
  }

  /** The worker's lease for a key. Look it up each time: an unused lease is forgotten. */
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
   * Resumes the waiter, on a turn of its own, when an unsettled answer may be settled. It then has to ask
   * all its leases again. A client that gets the answer `unsettled` has to wait here in the same turn.
   */
  wait(waiter: Waiter): void {
    this.#waiters.add(waiter);
  }

  /** Removes a waiter that is gone; it isn't called any more. */
  leave(waiter: Waiter): void {
    this.#waiters.delete(waiter);
  }

  /**
   * Takes the supervisor's notices.
   *
   * @param isAnswer True if they answer the last claims.
   */
  hear(notices: readonly Notice[], isAnswer: boolean): void {
    for (const notice of notices) this.lease(notice.key).hear(notice);
    if (isAnswer) {
      this.#sentMs = undefined;
      this.isAlone = false;
    }
    if (notices.length > 0) this.resumeAll();
    // Permits that the waiters didn't take go back, if they have to.
    this.#flushSoon();
  }

  /** Acts on deadlines, and forgets unused leases. To be called about once a sweep. */
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

  /** True if a key's permits are places, which are given back, and not a rate's. */
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
    this.#forget(this.#ownRates.first as Lease);
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

  /** Resumes all waiters, which ask again. */
  resumeAll(): void {
    const waiters = this.#waiters;
    if (waiters.size === 0) return;
    this.#waiters = new Set();
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
