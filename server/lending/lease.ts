import type { Room } from "../access/admission.ts";
import type { Claim, Notice, PermitKey, Terms } from "./terms.ts";

/** The parts of a {@linkcode Borrower} that its leases use. */
export interface LeaseHost {
  /** The coarse clock, in milliseconds. */
  readonly nowMs: number;
  /** True while the supervisor doesn't answer: the permits in hand are all there are. */
  readonly isAlone: boolean;
  /** Called when the lease has something to tell the supervisor in this turn. */
  note(lease: Lease): void;
  /** Called when the lease's permits are lent from now on. */
  onShared(lease: Lease): void;
  /** Called when they are the worker's own again. */
  onOwn(lease: Lease): void;
}

/**
 * A worker's permits for one key. At first they are its own share, which it uses without asking. Once any
 * worker needs more than its share, the worker has what the supervisor lends it, and gives back the rest.
 */
export class Lease {
  readonly key: PermitKey;
  readonly #terms: Terms;
  readonly #share: number;
  readonly #host: LeaseHost;
  #isOwn: boolean;
  /** Permits in hand that aren't used. */
  #free: number;
  /** Places in use. */
  #used = 0;
  /** Permits spent that the supervisor doesn't know of yet. */
  #spent = 0;
  /** Unused permits that it need not give back unasked. */
  #keep = 0;
  /** No permit is to be had before this time. */
  #noneUntilMs = -Infinity;
  /** Clients that wait for a permit since the last answer. */
  #wanting = 0;
  #hasAsked = false;
  #isRecalled = false;
  #wasUsed = false;
  #filledMs: number;

  constructor(key: PermitKey, terms: Terms, share: number, host: LeaseHost) {
    this.key = key;
    this.#terms = terms;
    this.#share = share;
    this.#host = host;
    this.#isOwn = share > 0;
    this.#free = share;
    this.#filledMs = host.nowMs;
  }

  /** True while its permits are the worker's own share. */
  get isOwn(): boolean {
    return this.#isOwn;
  }

  /** True if it is like a new lease, and the supervisor counts no permit for it. */
  get isForgettable(): boolean {
    if (this.#used > 0 || this.#hasAsked || this.#isRecalled || this.#wanting > 0) return false;
    if (this.#isOwn) return this.#unused() >= this.#share;
    return this.#share === 0 && this.#free === 0 && this.#spent === 0 &&
      this.#host.nowMs >= this.#noneUntilMs;
  }

  /** Tells whether a permit is in hand, without asking for one. */
  get known(): Room {
    if (this.#unused() >= 1) return "free";
    return this.#host.isAlone || this.#host.nowMs < this.#noneUntilMs ? "none" : "unsettled";
  }

  /** Tells whether a permit is in hand. If only the supervisor can tell, it asks for one. */
  room(): Room {
    const room = this.known;
    if (room === "unsettled") {
      this.#wanting++;
      this.#host.note(this);
    }
    return room;
  }

  /** Forgets how many clients wait, because all of them are about to ask again. */
  resetWanting(): void {
    this.#wanting = 0;
  }

  /** Uses a permit that is in hand. */
  take(): void {
    this.#free--;
    this.#wasUsed = true;
    if (this.#terms.perSecond === 0) this.#used++;
    else if (!this.#isOwn) {
      this.#spent++;
      this.#host.note(this);
    }
  }

  /** Frees a place that was taken. */
  giveBack(): void {
    this.#used--;
    this.#free++;
    if (!this.#isOwn && this.#free > this.#keep) this.#host.note(this);
  }

  /** Takes what the supervisor has to be told, if anything. */
  claim(): Claim | undefined {
    const wants = this.#hasAsked ? 0 : this.#wanting;
    if (wants > 0) {
      this.#becomeShared();
      this.#hasAsked = true;
    }
    const answersRecall = this.#isRecalled;
    if (answersRecall) this.#keep = 0;
    let returns = 0;
    // A permit that has come free belongs to the clients that wait here, unless it is recalled.
    if (!this.#isOwn && (answersRecall || !this.#hasAsked || this.#free < 1)) {
      returns = Math.max(0, this.#free - this.#keep);
    }
    const spent = this.#spent;
    if (wants + returns + spent === 0 && !answersRecall) return undefined;
    this.#free -= returns;
    this.#spent = 0;
    this.#isRecalled = false;
    return { key: this.key, wants, returns, spent, answersRecall };
  }

  /** Takes a notice of the supervisor. */
  hear(notice: Notice): void {
    switch (notice.says) {
      case "granted":
        this.#settle(notice.keep);
        this.#free += notice.count;
        this.#noneUntilMs = -Infinity;
        break;
      case "none":
        this.#settle(0);
        this.#noneUntilMs = this.#host.nowMs + (notice.forMs ?? Infinity);
        break;
      case "room":
        this.#noneUntilMs = -Infinity;
        return;
      case "recall":
        this.#becomeShared();
        this.#isRecalled = true;
        this.#keep = 0;
        break;
      case "shared":
        this.#free = 0;
        this.#isOwn = false;
        this.#host.onShared(this);
        return;
      case "own":
        this.#isOwn = true;
        this.#free = this.#share;
        this.#spent = 0;
        this.#filledMs = this.#host.nowMs;
        this.#noneUntilMs = -Infinity;
        this.#host.onOwn(this);
        return;
    }
    this.#host.note(this);
  }

  /** Gives back permits that no client has needed since the last call. To be called about once a sweep. */
  sweep(): void {
    if (!this.#isOwn && !this.#wasUsed && this.#used === 0 && this.#free > 0) {
      this.#keep = 0;
      this.#host.note(this);
    }
    this.#wasUsed = false;
  }

  #settle(keep: number): void {
    this.#becomeShared();
    this.#hasAsked = false;
    this.#wanting = 0;
    this.#keep = keep;
  }

  #becomeShared(): void {
    if (!this.#isOwn) return;
    if (this.#terms.perSecond > 0) this.#spent = this.#share - this.#unused();
    this.#isOwn = false;
    this.#keep = 0;
    this.#host.onShared(this);
  }

  #unused(): number {
    const { most, perSecond } = this.#terms;
    const { nowMs } = this.#host;
    if (this.#isOwn && perSecond > 0 && nowMs !== this.#filledMs) {
      const come = (nowMs - this.#filledMs) / 1000 * perSecond * this.#share / most;
      this.#free = Math.min(this.#share, this.#free + come);
      this.#filledMs = nowMs;
    }
    return this.#free;
  }
}
