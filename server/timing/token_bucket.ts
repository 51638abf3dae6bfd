/** How often something may happen. */
export interface Rate {
  /** Times a second, in the long run. */
  readonly perSecond: number;
  /** Times at once, after a rest. */
  readonly burst: number;
}

/** Counts what happens against a rate: a bucket that fills steadily, and gives a token each time. */
export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #filledMs: number;

  /** A full bucket, at a time of some monotonic clock. */
  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#filledMs = nowMs;
  }

  /** Takes tokens that need not be there: the bucket may come to owe some. */
  take(nowMs: number, count = 1): void {
    if (nowMs !== this.#filledMs) this.#fill(nowMs);
    this.#tokens -= count;
  }

  /** How many tokens there are, a part of one included; less than 0 where some are owed. */
  tokens(nowMs: number): number {
    if (nowMs !== this.#filledMs) this.#fill(nowMs);
    return this.#tokens;
  }

  /** Whether there is a token. */
  hasToken(nowMs: number): boolean {
    return this.tokens(nowMs) >= 1;
  }

  /** Whether it has forgotten all that ever happened. */
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
