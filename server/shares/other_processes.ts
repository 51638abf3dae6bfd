import type { CoarseClock } from "../timing/coarse_clock.ts";
import { ANSWER_DEADLINE_MS } from "../limits.ts";
import { type Census, censusOf, CountedCensus, countTogether } from "./census.ts";
import type { Holder, PlaceKind } from "./holder.ts";
import type { Holders } from "./holders.ts";

/** Milliseconds for which what the other processes have said is gone by. */
const CENSUS_MS = 1_000;

/** What is needed to ask the other processes. */
export interface OtherProcessesOptions {
  readonly holders: Holders;
  readonly clock: CoarseClock;
  /**
   * Sends the supervisor what the addresses of this process hold.
   *
   * @param asks Whether it's to say what those of the others hold; else it's the answer to its question.
   */
  readonly send: (census: Census, asks: boolean) => void;
  /** What was unsettled may be settled. */
  readonly onNews: () => void;
}

/**
 * What addresses hold on a server's other processes: asked for only while somebody wants a place that
 * there isn't, once a second at most. In between others may have changed as much as this process has, and
 * that's taken for granted where it counts against a newcomer, or for one who would have to give way.
 */
export class OtherProcesses {
  readonly #options: OtherProcessesOptions;
  #others: readonly CountedCensus[] = [];
  /** What this process had when it asked. */
  #own: CountedCensus | undefined;
  #heardMs = -Infinity;
  #askedMs: number | undefined;

  constructor(options: OtherProcessesOptions) {
    this.#options = options;
  }

  /**
   * Whether it's known what they hold: `free` where it is, `unsettled` where they have been asked, and
   * `none` where there is no answer.
   */
  get knowledge(): "free" | "unsettled" | "none" {
    const { clock, holders, send } = this.#options;
    const { nowMs } = clock;
    if (nowMs - this.#heardMs < CENSUS_MS) return "free";
    if (this.#askedMs === undefined) {
      this.#askedMs = nowMs;
      const own = censusOf(holders);
      this.#own = new CountedCensus(own);
      send(own, true);
    }
    return nowMs - this.#askedMs < ANSWER_DEADLINE_MS ? "unsettled" : "none";
  }

  /** Tells the supervisor what the addresses of this process hold. */
  answer(): void {
    this.#options.send(censusOf(this.#options.holders), false);
  }

  /** Takes what the others have told. */
  hear(others: readonly Census[]): void {
    this.#others = others.map((census) => new CountedCensus(census));
    this.#heardMs = this.#options.clock.nowMs;
    this.#askedMs = undefined;
    this.#options.onNews();
  }

  /** Looks at the deadline. To be called about once a sweep. */
  sweep(): void {
    const { clock, onNews } = this.#options;
    if (this.#askedMs !== undefined && clock.nowMs - this.#askedMs >= ANSWER_DEADLINE_MS) onNews();
  }

  /** What they hold together. */
  total(kind: PlaceKind): number {
    return sum(this.#others, (census) => census.of(kind).total);
  }

  /** How many addresses hold some, here and there: at least and at most. */
  countHolders(own: number, kind: PlaceKind): { readonly least: number; readonly most: number } {
    const counts = this.#others.map((census) => census.of(kind).holders);
    const least = Math.max(own, ...counts);
    if (this.#own === undefined) return { least, most: own };
    // All may have as many new ones as this process has.
    const more = Math.max(0, own - this.#own.of(kind).holders) * (counts.length + 1);
    return { least, most: countTogether([this.#own, ...this.#others], kind) + more };
  }

  /** What an address holds that holds some here, both together, at least. */
  leastHeld(holder: Holder, kind: PlaceKind): number {
    const own = holder.held(kind);
    const before = Math.max(own, this.#own?.of(kind).held(holder.site) ?? own, 1);
    const others = sum(this.#others, (census) => census.of(kind).held(holder.site) ?? 0);
    return own + others * own / before;
  }

  /** The same at most, of an address that holds so much here. */
  mostHeld(site: string, own: number, kind: PlaceKind): number {
    const more = Math.max(0, own - (this.#own?.of(kind).held(site) ?? 0));
    return own + sum(this.#others, (census) => {
      return (census.of(kind).held(site) ?? census.of(kind).mostOfOthers) + more;
    });
  }
}

function sum(censuses: readonly CountedCensus[], of: (census: CountedCensus) => number): number {
  return censuses.reduce((total, census) => total + of(census), 0);
}
