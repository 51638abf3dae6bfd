import { MAX_RECENT_ADDRESSES } from "../limits.ts";
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
 * Keeps count of the permits of a server that has several processes, so that a limit holds for all of
 * them together, and each may use what the others don't.
 *
 * A key has an account from the moment in which a worker needs more than its own share until no permit
 * of it is out any more; all others cost nothing.
 */
export class Ledger<Worker> {
  readonly #terms: AllTerms;
  readonly #workers: number;
  readonly #tell: (worker: Worker, notice: Notice) => void;
  readonly #members = new Set<Worker>();
  readonly #accounts = new Map<PermitKey, Account<Worker>>();

  /**
   * @param workers How many the server has when none is missing.
   * @param tell Takes what is to be told a worker, in this order.
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

  /** How many keys have accounts. */
  get size(): number {
    return this.#accounts.size;
  }

  /** Permits of a key that are out or spent, as far as they were lent. */
  taken(key: PermitKey): number {
    return this.#accounts.get(key)?.taken ?? 0;
  }

  /** A worker has come, and has accepted no client yet. */
  add(worker: Worker): void {
    this.#members.add(worker);
    for (const [key, account] of this.#accounts) {
      account.add(worker);
      if (this.#shareOf(key) > 0) this.#tell(worker, { key, says: "shared" });
    }
  }

  /** A worker is no more. */
  remove(worker: Worker, nowMs: number): void {
    if (!this.#members.delete(worker)) return;
    for (const [key, account] of this.#accounts) {
      account.remove(worker, nowMs);
      if (account.isIdle) this.#close(key);
    }
  }

  /** Does what a worker says. */
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

  /** Looks at deadlines, and forgets what is over. To be called some times a second. */
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

  /** A flood from many addresses must not fill the memory: the oldest is forgiven what it spent. */
  #closeOldestRate(): void {
    for (const key of this.#accounts.keys()) {
      if (this.#terms[kindOf(key)].perSecond > 0) return this.#close(key);
    }
  }

  #shareOf(key: PermitKey): number {
    return ownShare(this.#terms[kindOf(key)], this.#workers);
  }
}
