import type { Strike } from "../checks/strike_history.ts";
import { ImpossibleStrike, type StrikeContext, type StrikeOnce } from "./strike_context.ts";
import { misrenew, renew } from "./certificate.ts";
import { killMember, restartNats } from "./cluster.ts";
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
  member_killed: killMember,
  nats_restarted: restartNats,
};

/** Strikes a server and its workers again and again, one strike at a time. */
export class StrikeRunner {
  /** The strikes that aren't possible here, each with the reason. */
  readonly leftOut = new Map<Strike, string>();
  readonly #context: StrikeContext;
  readonly #order: StrikeOrder;
  readonly #end = new AbortController();
  #timer: ReturnType<typeof setInterval> | undefined;
  #underWay: Promise<void> = Promise.resolve();
  #isNextDue = false;

  constructor(context: Omit<StrikeContext, "end">, order: StrikeOrder) {
    this.#context = { ...context, end: this.#end.signal };
    this.#order = order;
  }

  /**
   * @param everyMs Milliseconds from one strike to the next. After a longer one, the next follows at
   * once.
   */
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

  /** Ends the strikes. Resolves when the last one is over. */
  async stop(): Promise<void> {
    this.#end.abort();
    clearInterval(this.#timer);
    await this.#underWay;
  }

  async #strike(): Promise<void> {
    // If a strike isn't possible, the next one takes its turn.
    while (!this.#end.signal.aborted) {
      const strike = this.#order.next();
      if (strike === undefined) return;
      try {
        return await STRIKE_BY_NAME[strike](this.#context);
      } catch (error) {
        if (!(error instanceof ImpossibleStrike)) throw error;
        this.leftOut.set(strike, error.message);
        this.#order.leaveOut(strike);
      }
    }
  }
}
