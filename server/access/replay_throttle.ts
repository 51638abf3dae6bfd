import type { Runtime } from "../../runtime/types.ts";
import { type WaitingPlace, WaitingRoom } from "../flow/gate.ts";
import { REPLAY_BURST_BYTES, REPLAY_BYTES_PER_SECOND } from "../limits/clients.ts";
import { RESUME_BYTES } from "../limits/costs.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import { type Rate, TokenBucket } from "../timing/token_bucket.ts";
import { siteOf } from "./ip_address.ts";

/**
 * Bounds what is replayed of the history for the clients of one address. A client whose address has had
 * enough waits, and nothing it sends behind that is read.
 */
export class ReplayThrottle {
  readonly #clock: CoarseClock;
  readonly #gate: WaitingRoom;
  readonly #rate: Rate;
  readonly #sites = new Map<string, TokenBucket>();

  /** @param processes The number of the server's processes: each has its part of the rate. */
  constructor(runtime: Runtime, clock: CoarseClock, processes: number) {
    this.#clock = clock;
    this.#gate = new WaitingRoom(runtime);
    this.#rate = {
      perSecond: REPLAY_BYTES_PER_SECOND / processes,
      burst: REPLAY_BURST_BYTES / processes,
    };
  }

  /** The number of addresses that are remembered. */
  get size(): number {
    return this.#sites.size;
  }

  /** The place where a client of this address waits; `undefined` if it need not. */
  placeOf(address: string): WaitingPlace | undefined {
    const bucket = this.#sites.get(siteOf(address));
    return bucket === undefined || bucket.hasToken(this.#clock.nowMs) ? undefined : this.#gate;
  }

  /** Counts a resume for the address, and the bytes that it replays. */
  take(address: string, bytes: number): void {
    const site = siteOf(address);
    const { nowMs } = this.#clock;
    let bucket = this.#sites.get(site);
    if (bucket === undefined) {
      bucket = new TokenBucket(this.#rate, nowMs);
      this.#sites.set(site, bucket);
    }
    bucket.take(nowMs, RESUME_BYTES + bytes);
  }

  /** Lets those go on that waited. To be called about once a sweep. */
  sweep(): void {
    const { nowMs } = this.#clock;
    for (const [site, bucket] of this.#sites) if (bucket.isFull(nowMs)) this.#sites.delete(site);
    this.#gate.open();
  }
}
