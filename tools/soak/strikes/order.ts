import type { Random } from "../../harness/random.ts";
import { type Strike, STRIKES } from "../checks/strike_history.ts";

/** The order of strikes. */
export interface StrikeOrder {
  /** The next strike; `undefined` if none is possible. */
  next(): Strike | undefined;
  /** Leaves out a strike that isn't possible here. */
  leaveOut(strike: Strike): void;
}

/** The strikes from one kill to the next. */
export const KILL_ROUND: readonly Strike[] = ["hung", "killed", "hung", "asked"];

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

/** All strikes, in an order that is drawn anew each time all have happened. */
export class Deck implements StrikeOrder {
  readonly #random: Random;
  readonly #leftOut = new Set<Strike>();
  #deck: Strike[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  next(): Strike | undefined {
    if (this.#deck.length === 0) {
      this.#deck = this.#random.shuffled(STRIKES.filter((strike) => !this.#leftOut.has(strike)));
    }
    return this.#deck.pop();
  }

  leaveOut(strike: Strike): void {
    this.#leftOut.add(strike);
    this.#deck = this.#deck.filter((one) => one !== strike);
  }
}
