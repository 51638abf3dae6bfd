import { counted } from "../../cli/counted.ts";
import type { EnlistmentProgress } from "./ramp_up.ts";
import { tallyText } from "../measures/tally.ts";

/** How long nothing may move before it's told; then twice as long, and so on. */
const FIRST_MS = 10_000;

/** Tells people when bots that try for ever don't get on. */
export class StallWatch {
  readonly #n: number;
  readonly #say: (text: string) => void;
  #position = "";
  #movedAtMs = 0;
  #toldAfterMs = 0;

  /**
   * @param n How many bots there are.
   * @param say Gets one line.
   */
  constructor(n: number, say: (text: string) => void) {
    this.#n = n;
    this.#say = say;
  }

  /** Looks at how far the bots have come; to be called several times a second. */
  look(
    { greeted, subscribed, failedAttempts }: EnlistmentProgress,
    nowMs: number = performance.now(),
  ): void {
    const position = `${greeted} ${subscribed}`;
    if (position !== this.#position) {
      this.#position = position;
      this.#movedAtMs = nowMs;
      this.#toldAfterMs = 0;
      return;
    }
    const stalledMs = nowMs - this.#movedAtMs;
    if (stalledMs < Math.max(2 * this.#toldAfterMs, FIRST_MS)) return;
    this.#toldAfterMs = stalledMs;
    const failed = tallyText(failedAttempts);
    this.#say(
      `no bot has got any further for ${(stalledMs / 1000).toFixed(0)} s: ${subscribed} of ` +
        `${counted(this.#n, "bot")} subscribed` +
        (failed === "" ? "" : `, attempts that failed: ${failed}`) +
        "; they go on trying until Ctrl-C",
    );
  }
}
