import type { CoarseClock } from "../timing/coarse_clock.ts";
import type { Waiter, WaitingPlace } from "../flow/gate.ts";
import { siteOf } from "./ip_address.ts";
import { SLOW_KEY_DELAY_MS, SLOW_KEYS_PER_SECOND, SWEEP_INTERVAL_MS } from "../limits/clients.ts";
import { type Rate, TokenBucket } from "../timing/token_bucket.ts";

/** Keys that one sweep checks at most, of all addresses: each takes a hash and a write. */
const KEYS_PER_SWEEP = 512;

/** The clients of one address that wait, each with the latest time at which it began to. */
class SlowSite implements WaitingPlace {
  readonly answers: TokenBucket;
  readonly waiting = new Map<Waiter, number>();
  readonly #slowKeys: SlowKeys;

  constructor(slowKeys: SlowKeys, answers: TokenBucket) {
    this.#slowKeys = slowKeys;
    this.answers = answers;
  }

  wait(waiter: Waiter): void {
    // The clock stands at the last sweep, and the next one may be about to come.
    this.waiting.set(waiter, this.#slowKeys.nowMs + SWEEP_INTERVAL_MS);
  }

  leave(waiter: Waiter): void {
    this.waiting.delete(waiter);
  }
}

/**
 * Makes clients wait that show a key from an address with too many wrong keys. A right key still counts,
 * since other clients may share the address. So right and wrong keys are answered alike: after
 * {@linkcode SLOW_KEY_DELAY_MS}, at {@linkcode SLOW_KEYS_PER_SECOND}, in the order in which they came.
 */
export class SlowKeys {
  readonly #clock: CoarseClock;
  readonly #rate: Rate;
  readonly #sites = new Map<string, SlowSite>();

  /** @param processes The number of the server's processes: each has its part of the rate. */
  constructor(clock: CoarseClock, processes: number) {
    this.#clock = clock;
    const perSecond = SLOW_KEYS_PER_SECOND / processes;
    // Two sweeps' worth: a part of a key that one sweep leaves counts in the next.
    this.#rate = { perSecond, burst: Math.max(1, perSecond * 2 * SWEEP_INTERVAL_MS / 1000) };
  }

  get nowMs(): number {
    return this.#clock.nowMs;
  }

  /** The number of clients that wait. */
  get size(): number {
    let size = 0;
    for (const { waiting } of this.#sites.values()) size += waiting.size;
    return size;
  }

  /** The place where a client of this address waits until its key may be checked. */
  placeOf(address: string): WaitingPlace {
    const key = siteOf(address);
    let site = this.#sites.get(key);
    if (site === undefined) {
      site = new SlowSite(this, new TokenBucket(this.#rate, this.nowMs));
      this.#sites.set(key, site);
    }
    return site;
  }

  /** Resumes clients whose time has come. To be called about once a sweep. */
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
      // Next time this address comes after the others.
      this.#sites.delete(key);
      if (site.waiting.size > 0) this.#sites.set(key, site);
    }
  }
}
