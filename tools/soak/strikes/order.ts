import type { Random } from "../../harness/random.ts";
import type { Strike } from "../checks/strike_history.ts";

/** The order of strikes. */
export interface StrikeOrder {
  /** The next strike; `undefined` if none is possible. */
  next(): Strike | undefined;
  /** Leaves out a strike that isn't possible here. */
  leaveOut(strike: Strike): void;
}

/** The strikes from one kill to the next. */
export const KILL_ROUND: readonly Strike[] = ["hung", "killed", "hung", "asked"];

/** The same for a cluster. */
export const CLUSTER_ROUND: readonly Strike[] = ["member_killed", ...KILL_ROUND];

/** Repeats the same strikes in the same order. */
export class Round implements StrikeOrder {
  readonly #strikes: readonly Strike[];
  #at = 0;

  constructor(strikes: readonly Strike[]) {
    this.#strikes = strikes;
  }

  next(): Strike {
    return this.#strikes[this.#at++ % this.#strikes.length]!;
  }

  leaveOut(): void {}
}

/** Another order, with one more strike at one place. */
export class WithOne implements StrikeOrder {
  readonly #order: StrikeOrder;
  readonly #strike: Strike;
  #before: number;

  /** @param before How many strikes come before it. */
  constructor(order: StrikeOrder, strike: Strike, before: number) {
    this.#order = order;
    this.#strike = strike;
    this.#before = before;
  }

  next(): Strike | undefined {
    return this.#before-- === 0 ? this.#strike : this.#order.next();
  }

  leaveOut(strike: Strike): void {
    this.#order.leaveOut(strike);
  }
}

/** Strikes, in an order that is drawn anew each time all have happened. */
export class Deck implements StrikeOrder {
  readonly #strikes: readonly Strike[];
  readonly #random: Random;
  readonly #leftOut = new Set<Strike>();
  #deck: Strike[] = [];

  constructor(strikes: readonly Strike[], random: Random) {
    this.#strikes = strikes;
    this.#random = random;
  }

  next(): Strike | undefined {
    if (this.#deck.length === 0) {
      this.#deck = this.#random.shuffled(
        this.#strikes.filter((strike) => !this.#leftOut.has(strike)),
      );
    }
    return this.#deck.pop();
  }

  leaveOut(strike: Strike): void {
    this.#leftOut.add(strike);
    this.#deck = this.#deck.filter((one) => one !== strike);
  }
}
