import type { Room } from "../access/admission.ts";
import type { Claim, Notice, PermitKey, Terms } from "./terms.ts";

/** What a lease needs of its worker's {@linkcode Borrower}. */
export interface LeaseHost {
  /** The time on a clock that may lag by a sweep. */
  readonly nowMs: number;
  /** Whether the supervisor doesn't answer: what is in hand is all there is. */
  readonly isAlone: boolean;
  /** The lease has something to tell the supervisor, this turn. */
  note(lease: Lease): void;
  /** The lease's permits aren't the worker's own any more, or are again. */
  onShared(lease: Lease): void;
  onOwn(lease: Lease): void;
}

/**
 * A worker's permits for one key. At first they are its own share, which it uses without a word; once
 * some worker needs more than its own, it has what the supervisor lends it, and gives back the rest.
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
  /** Permits spent, and not told yet. */
  #spent = 0;
  /** Unused permits that it needn't give back by itself. */
  #keep = 0;
  /** None is to be had until then. */
  #noneUntilMs = -Infinity;
  /** How many wait for a permit, since the last answer. */
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

  /** Whether its permits are the worker's own. */
  get isOwn(): boolean {
    return this.#isOwn;
  }

  /** Whether it's as one that was never used, and the supervisor knows of none. */
  get isForgettable(): boolean {
    if (this.#used > 0 || this.#hasAsked || this.#isRecalled || this.#wanting > 0) return false;
    if (this.#isOwn) return this.#unused() >= this.#share;
    return this.#share === 0 && this.#free === 0 && this.#spent === 0 &&
      this.#host.nowMs >= this.#noneUntilMs;
  }

  /** Whether a permit is in hand, as far as is known here. */
  get known(): Room {
    if (this.#unused() >= 1) return "free";
    return this.#host.isAlone || this.#host.nowMs < this.#noneUntilMs ? "none" : "unsettled";
  }

  /** The same, and asks for a permit where it isn't settled. */
  room(): Room {
    const room = this.known;
    if (room === "unsettled") {
      this.#wanting++;
      this.#host.note(this);
    }
    return room;
  }

  /** All who wait are about to ask again. */
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

  /** A place is free again. */
  giveBack(): void {
    this.#used--;
    this.#free++;
    if (!this.#isOwn && this.#free > this.#keep) this.#host.note(this);
  }

  /** What is to be told the supervisor, if anything. */
  claim(): Claim | undefined {
    const wants = this.#hasAsked ? 0 : this.#wanting;
    if (wants > 0) {
      this.#becomeShared();
      this.#hasAsked = true;
    }
    const answersRecall = this.#isRecalled;
    if (answersRecall) this.#keep = 0;
    let returns = 0;
    // What has come free while some wait is theirs, unless others have asked for it.
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

  /** Takes what the supervisor says. */
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

  /** Gives back what nobody has needed since the last time. To be called about once a sweep. */
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
