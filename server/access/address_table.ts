import { SetQueue } from "../../runtime/set_queue.ts";
import { allOfAddressTaken, tooFast } from "./admission.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import { siteOf } from "./ip_address.ts";
import { type Limits } from "../limits.ts";
import { MAX_RECENT_ADDRESSES, REFUSAL_REPORT_INTERVAL_MS } from "../limits/clients.ts";
import { ACCEPT_BURST_SECONDS } from "../limits/derived.ts";
import { type Rate, TokenBucket } from "../timing/token_bucket.ts";

interface Entry {
  readonly site: string;
  connections: number;
  readonly accepts: TokenBucket;
  /** Made with the address's first wrong key. */
  wrongKeys?: TokenBucket;
  reportedMs: number;
}

/** The reason why an address gets no more connections. */
export interface AddressRefusal {
  /** One sentence, for the client and the log. */
  readonly detail: string;
  /** True if the last report about this address is long enough ago. */
  readonly isNews: boolean;
}

/**
 * Counts connections by address, for the limits of one address. An address of IPv6 counts with its whole
 * /64. The table keeps the addresses that have connections, and {@linkcode MAX_RECENT_ADDRESSES} of those
 * that had some lately.
 */
export class AddressTable {
  readonly #limits: Limits;
  readonly #clock: CoarseClock;
  readonly #acceptRate: Rate;
  readonly #wrongKeyRate: Rate;
  readonly #connected = new Map<string, Entry>();
  /** Addresses without connections, and the same in the order in which they left. */
  readonly #recent = new Map<string, Entry>();
  readonly #leavers = new SetQueue<Entry>();

  constructor(limits: Limits, clock: CoarseClock) {
    this.#limits = limits;
    this.#clock = clock;
    const { acceptRate, maxWrongKeys } = limits;
    this.#wrongKeyRate = { perSecond: maxWrongKeys / 60, burst: maxWrongKeys };
    this.#acceptRate = { perSecond: acceptRate, burst: acceptRate * ACCEPT_BURST_SECONDS };
  }

  /** The number of addresses that are remembered. */
  get size(): number {
    return this.#connected.size + this.#recent.size;
  }

  /**
   * Counts a connection that comes from an address.
   *
   * @param address Empty for a peer on a socket of this machine, which has no limit.
   * @returns The reason why it may not stay; then it counts only as an attempt. `undefined` if it may.
   */
  admit(address: string): AddressRefusal | undefined {
    if (address === "") return undefined;
    const { nowMs } = this.#clock;
    const site = siteOf(address);
    const entry = this.#connected.get(site) ?? this.#recall(site);
    const { acceptRate, maxConnectionsPerIp } = this.#limits;
    let detail: string | undefined;
    if (!entry.accepts.hasToken(nowMs)) {
      detail = tooFast(acceptRate);
    } else {
      entry.accepts.take(nowMs);
      if (entry.connections >= maxConnectionsPerIp) {
        detail = allOfAddressTaken(maxConnectionsPerIp);
      }
    }
    if (detail === undefined) {
      if (entry.connections++ === 0) this.#connected.set(site, entry);
      return undefined;
    }
    if (entry.connections === 0) this.#remember(entry);
    const isNews = nowMs - entry.reportedMs >= REFUSAL_REPORT_INTERVAL_MS;
    if (isNews) entry.reportedMs = nowMs;
    return { detail, isNews };
  }

  /** Removes a connection that was counted. */
  leave(address: string): void {
    const site = siteOf(address);
    const entry = this.#connected.get(site);
    if (entry === undefined || --entry.connections > 0) return;
    this.#connected.delete(site);
    this.#remember(entry);
  }

  /** True if a key from this connected address may be checked at once. */
  mayShowKey(address: string): boolean {
    const entry = this.#connected.get(siteOf(address));
    return entry?.wrongKeys?.hasToken(this.#clock.nowMs) ?? true;
  }

  /** Counts a wrong key from this connected address. */
  noteWrongKey(address: string): void {
    const entry = this.#connected.get(siteOf(address));
    if (entry === undefined) return;
    const { nowMs } = this.#clock;
    (entry.wrongKeys ??= new TokenBucket(this.#wrongKeyRate, nowMs)).take(nowMs);
  }

  /** Forgets addresses whose tokens are all back. To be called about once a sweep. */
  sweep(): void {
    const { nowMs } = this.#clock;
    for (const entry of this.#leavers) {
      const { accepts, wrongKeys } = entry;
      if (accepts.isFull(nowMs) && (wrongKeys?.isFull(nowMs) ?? true)) this.#forget(entry);
    }
  }

  #recall(site: string): Entry {
    const entry = this.#recent.get(site);
    if (entry !== undefined) this.#forget(entry);
    return entry ?? {
      site,
      connections: 0,
      accepts: new TokenBucket(this.#acceptRate, this.#clock.nowMs),
      reportedMs: -REFUSAL_REPORT_INTERVAL_MS,
    };
  }

  #remember(entry: Entry): void {
    this.#recent.set(entry.site, entry);
    this.#leavers.add(entry);
    if (this.#recent.size <= MAX_RECENT_ADDRESSES) return;
    this.#forget(this.#leavers.first as Entry);
  }

  #forget(entry: Entry): void {
    this.#recent.delete(entry.site);
    this.#leavers.delete(entry);
  }
}
