import type { PlaceKind } from "./holder.ts";
import type { Holders } from "./holders.ts";
import { RANKED_HOLDERS, topOf } from "./ranking.ts";

/** A count of what the addresses of one process hold of one kind of place. */
export interface KindCensus {
  readonly total: number;
  /** The number of addresses that hold some. */
  readonly holders: number;
  /** The addresses that hold most, and how much, the first in front. All of them, if they are few. */
  readonly top: readonly (readonly [site: string, held: number])[];
}

/** A count of what the addresses of one process hold. */
export type Census = Readonly<Record<PlaceKind, KindCensus>>;

/** Counts what the addresses of this process hold. */
export function censusOf(holders: Holders): Census {
  const ofKind = (kind: PlaceKind): KindCensus => {
    const top = topOf(holders, (holder) => holder.held(kind));
    return {
      total: holders.total(kind),
      holders: holders.count(kind),
      top: top.map((holder) => [holder.site, holder.held(kind)]),
    };
  };
  return { connections: ofKind("connections"), topics: ofKind("topics") };
}

/** One kind of place of a census, with look-up by address. */
class CountedKind {
  readonly total: number;
  readonly holders: number;
  /** The most that an address may hold that isn't listed. */
  readonly mostOfOthers: number;
  readonly #held: ReadonlyMap<string, number>;

  constructor({ total, holders, top }: KindCensus) {
    this.total = total;
    this.holders = holders;
    this.#held = new Map(top);
    this.mostOfOthers = top.length < RANKED_HOLDERS ? 0 : (top.at(-1)?.[1] ?? 0);
  }

  /** The listed addresses: all that hold some, unless they are many. */
  get sites(): Iterable<string> {
    return this.#held.keys();
  }

  /** The share of a listed address; `undefined` for any other. */
  held(site: string): number | undefined {
    return this.#held.get(site);
  }
}

/**
 * The number of addresses that hold places of a kind on several processes, each counted once. If they are
 * many, the most that it can be.
 */
export function countTogether(censuses: readonly CountedCensus[], kind: PlaceKind): number {
  const parts = censuses.map((census) => census.of(kind));
  if (parts.some(({ holders }) => holders > RANKED_HOLDERS)) {
    return parts.reduce((count, { holders }) => count + holders, 0);
  }
  return new Set(parts.flatMap(({ sites }) => [...sites])).size;
}

/** A census with look-up by address. */
export class CountedCensus {
  readonly #kinds: Readonly<Record<PlaceKind, CountedKind>>;

  constructor({ connections, topics }: Census) {
    this.#kinds = {
      connections: new CountedKind(connections),
      topics: new CountedKind(topics),
    };
  }

  of(kind: PlaceKind): CountedKind {
    return this.#kinds[kind];
  }
}
