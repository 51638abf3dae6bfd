import { MAX_RECENT_ADDRESSES } from "../limits/clients.ts";
import { Account } from "./account.ts";
import {
  type AllTerms,
  type Claim,
  kindOf,
  type Notice,
  ownShare,
  type PermitKey,
} from "./terms.ts";

/**
 * Counts the permits of a server with several processes, so that a limit holds for all of them together,
 * and each may use what the others don't.
 *
 * A key has an account from the moment when a worker needs more than its own share, until no permit of it
 * is out any more. All other keys cost nothing.
 */
export class Ledger<Worker> {
  readonly #terms: AllTerms;
  readonly #workers: number;
  readonly #tell: (worker: Worker, notice: Notice) => void;
  readonly #members = new Set<Worker>();
  readonly #accounts = new Map<PermitKey, Account<Worker>>();

  /**
   * @param workers The number of workers when none is missing.
   * @param tell Sends a notice to a worker; the order matters.
   */
  constructor(
    terms: AllTerms,
    workers: number,
    tell: (worker: Worker, notice: Notice) => void,
  ) {
    this.#terms = terms;
    this.#workers = workers;
    this.#tell = tell;
  }

  /** The number of keys that have accounts. */
  get size(): number {
    return this.#accounts.size;
  }

  /** Adds a worker that has accepted no client yet. */
  add(worker: Worker): void {
    this.#members.add(worker);
    for (const [key, account] of this.#accounts) {
      account.add(worker);
      if (this.#shareOf(key) > 0) this.#tell(worker, { key, says: "shared" });
    }
  }

  /** Removes a worker that has ended. */
  remove(worker: Worker, nowMs: number): void {
    if (!this.#members.delete(worker)) return;
    for (const [key, account] of this.#accounts) {
      account.remove(worker, nowMs);
      if (account.isIdle) this.#close(key);
    }
  }

  /** Carries out a worker's claims. */
  claim(worker: Worker, claims: readonly Claim[], nowMs: number): void {
    if (!this.#members.has(worker)) return;
    for (const claim of claims) {
      const { key, wants } = claim;
      const account = this.#accounts.get(key) ??
        (wants > 0 ? this.#open(key, worker, nowMs) : undefined);
      account?.claim(worker, claim, nowMs);
      if (account?.isIdle) this.#close(key);
    }
  }

  /** Acts on deadlines, and closes idle accounts. To be called some times a second. */
  sweep(nowMs: number): void {
    for (const [key, account] of this.#accounts) {
      account.serve(nowMs);
      if (account.isIdle) this.#close(key);
    }
  }

  #open(key: PermitKey, asker: Worker, nowMs: number): Account<Worker> {
    if (this.#accounts.size >= MAX_RECENT_ADDRESSES) this.#closeOldestRate();
    const share = this.#shareOf(key);
    const account = new Account(
      this.#terms[kindOf(key)],
      this.#members,
      share,
      this.#workers,
      nowMs,
      (worker, word) => this.#tell(worker, { key, ...word }),
    );
    this.#accounts.set(key, account);
    if (share > 0) account.recallAllBut(asker, nowMs);
    return account;
  }

  #close(key: PermitKey): void {
    this.#accounts.delete(key);
    if (this.#shareOf(key) === 0) return;
    for (const worker of this.#members) this.#tell(worker, { key, says: "own" });
  }

  /** Closes the oldest account of a rate, so that a flood from many addresses can't fill the memory. */
  #closeOldestRate(): void {
    for (const key of this.#accounts.keys()) {
      if (this.#terms[kindOf(key)].perSecond > 0) return this.#close(key);
    }
  }

  #shareOf(key: PermitKey): number {
    return ownShare(this.#terms[kindOf(key)], this.#workers);
  }
}
