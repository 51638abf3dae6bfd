import type { Strike } from "../checks/strike_history.ts";
import { type Arena, Impossible, type StrikeOnce } from "./arena.ts";
import { misrenew, renew } from "./certificate.ts";
import { cut } from "./cut.ts";
import { ask, kill } from "./end_worker.ts";
import { exhaust } from "./exhaust.ts";
import { hang } from "./hang.ts";
import type { StrikeOrder } from "./order.ts";
import { roll } from "./roll.ts";

const STRIKE_BY_NAME: Readonly<Record<Strike, StrikeOnce>> = {
  killed: kill,
  asked: ask,
  hung: hang,
  rolled: roll,
  exhausted: exhaust,
  cut,
  renewed: renew,
  misrenewed: misrenew,
};

/** Strikes a server's workers, one at a time, again and again. */
export class Killer {
  /** Why strikes that aren't possible here aren't. */
  readonly leftOut = new Map<Strike, string>();
  readonly #arena: Arena;
  readonly #order: StrikeOrder;
  readonly #end = new AbortController();
  #timer: ReturnType<typeof setInterval> | undefined;
  #underWay: Promise<void> = Promise.resolve();
  #isNextDue = false;

  constructor(arena: Omit<Arena, "end">, order: StrikeOrder) {
    this.#arena = { ...arena, end: this.#end.signal };
    this.#order = order;
  }

  /** @param everyMs From one strike to the next; one that takes longer is followed by one at once. */
  start(everyMs: number): void {
    this.#timer = setInterval(() => {
      if (this.#isNextDue) return;
      this.#isNextDue = true;
      this.#underWay = this.#underWay.then(() => {
        this.#isNextDue = false;
        return this.#strike();
      });
    }, everyMs);
  }

  /** Resolves when nobody is being struck any more. */
  async stop(): Promise<void> {
    this.#end.abort();
    clearInterval(this.#timer);
    await this.#underWay;
  }

  async #strike(): Promise<void> {
    // One that isn't possible gives its turn to the next one.
    while (!this.#end.signal.aborted) {
      const strike = this.#order.next();
      if (strike === undefined) return;
      try {
        return await STRIKE_BY_NAME[strike](this.#arena);
      } catch (error) {
        if (!(error instanceof Impossible)) throw error;
        this.leftOut.set(strike, error.message);
        this.#order.leaveOut(strike);
      }
    }
  }
}
