import type { PlaceKind } from "./holder.ts";
import type { Holders } from "./holders.ts";
import { RANKED_HOLDERS, topOf } from "./ranking.ts";

/** What the addresses of one process hold of one kind of place. */
export interface KindCensus {
  readonly total: number;
  /** How many addresses hold some. */
  readonly holders: number;
  /** What those hold that hold most, the first in front. All, where they are few. */
  readonly top: readonly (readonly [site: string, held: number])[];
}

/** What the addresses of one process hold. */
export type Census = Readonly<Record<PlaceKind, KindCensus>>;

/** Takes the census of a process. */
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

/** One part of a census, to be looked up. */
class CountedKind {
  readonly total: number;
  readonly holders: number;
  /** The most that an address may hold which isn't listed. */
  readonly mostOfOthers: number;
  readonly #held: ReadonlyMap<string, number>;

  constructor({ total, holders, top }: KindCensus) {
    this.total = total;
    this.holders = holders;
    this.#held = new Map(top);
    this.mostOfOthers = top.length < RANKED_HOLDERS ? 0 : (top.at(-1)?.[1] ?? 0);
  }

  /** The addresses that are listed; all that there are, unless they are many. */
  get sites(): Iterable<string> {
    return this.#held.keys();
  }

  /** What an address holds that is listed. */
  held(site: string): number | undefined {
    return this.#held.get(site);
  }
}

/** Several processes' addresses that hold places of a kind, each once; at most, where they are many. */
export function countTogether(censuses: readonly CountedCensus[], kind: PlaceKind): number {
  const parts = censuses.map((census) => census.of(kind));
  if (parts.some(({ holders }) => holders > RANKED_HOLDERS)) {
    return parts.reduce((count, { holders }) => count + holders, 0);
  }
  return new Set(parts.flatMap(({ sites }) => [...sites])).size;
}

/** A census to be looked up. */
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
