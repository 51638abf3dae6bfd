import { counted } from "../../cli/counted.ts";
import type { RampUpProgress } from "./ramp_up.ts";
import { tallyText } from "../measures/tally.ts";

/** Milliseconds without progress until the first message. The time doubles after each message. */
const FIRST_MS = 10_000;

/** Tells the user when bots that try for ever make no progress. */
export class StallWatch {
  readonly #n: number;
  readonly #say: (text: string) => void;
  #position = "";
  #movedAtMs = 0;
  #toldAfterMs = 0;

  /**
   * @param n The number of bots.
   * @param say Receives one line of text.
   */
  constructor(n: number, say: (text: string) => void) {
    this.#n = n;
    this.#say = say;
  }

  /** Checks the bots' progress. Call it several times a second. */
  look(
    { greeted, subscribed, failedAttempts }: RampUpProgress,
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
