import type { CoarseClock } from "../timing/coarse_clock.ts";
import { ANSWER_DEADLINE_MS } from "../limits/processes.ts";
import { type Census, censusOf, CountedCensus, countTogether } from "./census.ts";
import type { Holder, PlaceKind } from "./holder.ts";
import type { Holders } from "./holders.ts";

/** Milliseconds for which the other processes' answer counts. */
const CENSUS_MS = 1_000;

/** The settings of {@linkcode OtherProcesses}. */
export interface OtherProcessesOptions {
  readonly holders: Holders;
  readonly clock: CoarseClock;
  /**
   * Sends this process's census to the supervisor.
   *
   * @param asks True to get the censuses of the others; false to answer the supervisor's question.
   */
  readonly send: (census: Census, asks: boolean) => void;
  /** Called when an unsettled answer may be settled. */
  readonly onNews: () => void;
}

/**
 * Knows what addresses hold on a server's other processes. It asks only while a client wants a place and
 * none is free, once a second at most. In between it assumes that the others have changed as much as this
 * process, where that counts against a newcomer, or for an address that would have to give way.
 */
export class OtherProcesses {
  readonly #options: OtherProcessesOptions;
  #others: readonly CountedCensus[] = [];
  /** This process's census when it asked. */
  #own: CountedCensus | undefined;
  #heardMs = -Infinity;
  #askedMs: number | undefined;

  constructor(options: OtherProcessesOptions) {
    this.#options = options;
  }

  /**
   * Asks the others, if their last answer is too old.
   *
   * @returns `free` if it is known what they hold, `unsettled` while they are being asked, `none` if they
   * don't answer.
   */
  ask(): "free" | "unsettled" | "none" {
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

  /** Sends this process's census, for which the supervisor has asked. */
  answer(): void {
    this.#options.send(censusOf(this.#options.holders), false);
  }

  /** Takes the censuses of the others. */
  hear(others: readonly Census[]): void {
    this.#others = others.map((census) => new CountedCensus(census));
    this.#heardMs = this.#options.clock.nowMs;
    this.#askedMs = undefined;
    this.#options.onNews();
  }

  /** Acts if the others don't answer in time. To be called about once a sweep. */
  sweep(): void {
    const { clock, onNews } = this.#options;
    if (this.#askedMs !== undefined && clock.nowMs - this.#askedMs >= ANSWER_DEADLINE_MS) onNews();
  }

  /** The number of places that they hold together. */
  total(kind: PlaceKind): number {
    return sum(this.#others, (census) => census.of(kind).total);
  }

  /** The least and the most that the number of holders can be, here and there. */
  countHolders(own: number, kind: PlaceKind): { readonly least: number; readonly most: number } {
    const counts = this.#others.map((census) => census.of(kind).holders);
    const least = Math.max(own, ...counts);
    if (this.#own === undefined) return { least, most: own };
    // Each other process may have as many new ones as this process.
    const more = Math.max(0, own - this.#own.of(kind).holders) * (counts.length + 1);
    return { least, most: countTogether([this.#own, ...this.#others], kind) + more };
  }

  /** The least that an address can hold, here and there together. It holds some here. */
  leastHeld(holder: Holder, kind: PlaceKind): number {
    const own = holder.held(kind);
    const before = Math.max(own, this.#own?.of(kind).held(holder.site) ?? own, 1);
    const others = sum(this.#others, (census) => census.of(kind).held(holder.site) ?? 0);
    return own + others * own / before;
  }

  /** The most that an address can hold, here and there together. It holds `own` here. */
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
