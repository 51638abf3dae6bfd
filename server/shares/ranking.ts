import type { CoarseClock } from "../timing/coarse_clock.ts";
import type { Holder } from "./holder.ts";
import type { Holders } from "./holders.ts";

/** The number of addresses in the ranking. */
export const RANKED_HOLDERS = 64;

/** Measures how much an address holds of a kind of place. */
export type Measure = (holder: Holder) => number;

/**
 * The addresses that hold most. It looks through all addresses only when it is asked, at most once a sweep
 * and once for each client that has given way. While there is room for all, nothing is kept in order.
 */
export class Ranking {
  readonly #holders: Holders;
  readonly #measure: Measure;
  readonly #clock: CoarseClock;
  #top: Holder[] = [];
  #rankedMs = -Infinity;
  #mayBeRenewed = false;

  /** @param measure Measures how much an address holds. */
  constructor(holders: Holders, measure: Measure, clock: CoarseClock) {
    this.#holders = holders;
    this.#measure = measure;
    this.#clock = clock;
  }

  /** The address that holds most and isn't set aside. */
  first(): Holder | undefined {
    this.#rank();
    let first: Holder | undefined;
    let most = 0;
    for (const holder of this.#top) {
      const held = this.#measure(holder);
      if (held <= most) continue;
      first = holder;
      most = held;
    }
    return first;
  }

  /** Leaves an address out until the next sweep. */
  setAside(holder: Holder): void {
    this.#top = this.#top.filter((other) => other !== holder);
  }

  /** To be called when a client has given way: what it held may count for another address now. */
  noteChange(): void {
    this.#mayBeRenewed = true;
  }

  /** Ranks anew on the next call, if a client has given way since; returns whether it does. */
  renew(): boolean {
    if (!this.#mayBeRenewed) return false;
    this.#rankedMs = -Infinity;
    return true;
  }

  #rank(): void {
    const { nowMs } = this.#clock;
    if (nowMs === this.#rankedMs) return;
    this.#rankedMs = nowMs;
    this.#mayBeRenewed = false;
    this.#top = topOf(this.#holders, this.#measure);
  }
}

/** The addresses that hold most, the first in front, {@linkcode RANKED_HOLDERS} at most. */
export function topOf(holders: Holders, measure: Measure): Holder[] {
  let top: Ranked[] = [];
  let least = 0;
  for (const holder of holders.all()) {
    const held = measure(holder);
    if (held <= least) continue;
    top.push({ holder, held });
    if (top.length < 2 * RANKED_HOLDERS) continue;
    top = cut(top);
    least = top.at(-1)?.held ?? 0;
  }
  return cut(top).map(({ holder }) => holder);
}

interface Ranked {
  readonly holder: Holder;
  readonly held: number;
}

function cut(top: Ranked[]): Ranked[] {
  return top.sort((a, b) => b.held - a.held).slice(0, RANKED_HOLDERS);
}
