import type { CoarseClock } from "../timing/coarse_clock.ts";
import type { Waiter, WaitingPlace } from "../flow/gate.ts";
import { siteOf } from "./ip_address.ts";
import { SLOW_KEY_DELAY_MS, SLOW_KEYS_PER_SECOND, SWEEP_INTERVAL_MS } from "../limits.ts";
import { type Rate, TokenBucket } from "../timing/token_bucket.ts";

/** Keys looked at in one turn of the loop, of all addresses: each takes a hash, and a write. */
const KEYS_PER_SWEEP = 512;

/** The clients of one address that wait, and since when at the latest. */
class SlowSite implements WaitingPlace {
  readonly answers: TokenBucket;
  readonly waiting = new Map<Waiter, number>();
  readonly #slowKeys: SlowKeys;

  constructor(slowKeys: SlowKeys, answers: TokenBucket) {
    this.#slowKeys = slowKeys;
    this.answers = answers;
  }

  wait(waiter: Waiter): void {
    // The clock is that of the last sweep, which may be almost the next one's.
    this.waiting.set(waiter, this.#slowKeys.nowMs + SWEEP_INTERVAL_MS);
  }

  leave(waiter: Waiter): void {
    this.waiting.delete(waiter);
  }
}

/**
 * Where clients wait that show a key from an address which has shown too many wrong ones. A right key
 * counts all the same, since others share that address; so neither is answered before a second has
 * passed, and not more than so many in each. They are answered in the order in which they came, so that
 * none waits without an end.
 */
export class SlowKeys {
  readonly #clock: CoarseClock;
  readonly #rate: Rate;
  readonly #sites = new Map<string, SlowSite>();

  /** @param processes How many processes the server has: each has its part of the rate. */
  constructor(clock: CoarseClock, processes: number) {
    this.#clock = clock;
    const perSecond = SLOW_KEYS_PER_SECOND / processes;
    // Of two sweeps: what is left of a key in one counts in the next.
    this.#rate = { perSecond, burst: Math.max(1, perSecond * 2 * SWEEP_INTERVAL_MS / 1000) };
  }

  get nowMs(): number {
    return this.#clock.nowMs;
  }

  /** How many clients wait. */
  get size(): number {
    let size = 0;
    for (const { waiting } of this.#sites.values()) size += waiting.size;
    return size;
  }

  /** Where a client of this address waits until its key may be looked at. */
  placeOf(address: string): WaitingPlace {
    const key = siteOf(address);
    let site = this.#sites.get(key);
    if (site === undefined) {
      site = new SlowSite(this, new TokenBucket(this.#rate, this.nowMs));
      this.#sites.set(key, site);
    }
    return site;
  }

  /** Has keys looked at whose time has come. To be called about once a sweep. */
  sweep(): void {
    const { nowMs } = this;
    let left = KEYS_PER_SWEEP;
    for (const [key, site] of [...this.#sites]) {
      for (const [waiter, sinceMs] of site.waiting) {
        const isTime = nowMs - sinceMs >= SLOW_KEY_DELAY_MS && site.answers.hasToken(nowMs);
        if (!isTime || left === 0) break;
        left--;
        site.answers.take(nowMs);
        site.waiting.delete(waiter);
        waiter.resume();
      }
      // Behind the others, for the next time.
      this.#sites.delete(key);
      if (site.waiting.size > 0) this.#sites.set(key, site);
    }
  }
}
