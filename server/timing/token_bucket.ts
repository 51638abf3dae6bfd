/** A rate at which something may happen. */
export interface Rate {
  /** Tokens a second, in the long run. */
  readonly perSecond: number;
  /** Tokens at once, after a rest. */
  readonly burst: number;
}

/** Counts events against a rate: a bucket of tokens that fills steadily, and each event takes some. */
export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #filledMs: number;

  /** Makes a full bucket. `nowMs` is the time on any monotonic clock. */
  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#filledMs = nowMs;
  }

  /** Takes tokens, even if there are too few: the bucket then owes some. */
  take(nowMs: number, count = 1): void {
    if (nowMs !== this.#filledMs) this.#fill(nowMs);
    this.#tokens -= count;
  }

  /** The number of tokens, fractions included; less than 0 if the bucket owes some. */
  tokens(nowMs: number): number {
    if (nowMs !== this.#filledMs) this.#fill(nowMs);
    return this.#tokens;
  }

  /** True if there is at least one token. */
  hasToken(nowMs: number): boolean {
    return this.tokens(nowMs) >= 1;
  }

  /** True if all tokens are back. */
  isFull(nowMs: number): boolean {
    return this.tokens(nowMs) >= this.#rate.burst;
  }

  #fill(nowMs: number): void {
    const { perSecond, burst } = this.#rate;
    const tokens = this.#tokens + (nowMs - this.#filledMs) / 1000 * perSecond;
    this.#tokens = Math.min(burst, tokens);
    this.#filledMs = nowMs;
  }
}
