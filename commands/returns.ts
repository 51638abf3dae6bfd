import { quote } from "../cli/command_line.ts";
import type { Status, SubscribedStatus } from "../client/mod.ts";

/** The lines for the user of a client that comes back: breaks and gaps. */
export class Returns {
  readonly #subscribed = new Set<string>();
  #lastBreak: string | undefined;

  /**
   * The line for a status, if there is one. Attempts that fail for the same reason have one together.
   *
   * @param explain Names the reason for which a connection has ended.
   */
  lineOf(status: Status, explain: (why: unknown) => string): string | undefined {
    if (status.state === "open") this.#lastBreak = undefined;
    if (status.state === "subscribed") return this.#lineOfTopic(status);
    if (status.state !== "closed" || status.isFinal) return undefined;
    const why = explain(status.why);
    if (why === this.#lastBreak) return undefined;
    this.#lastBreak = why;
    return `${why}; trying again`;
  }

  #lineOfTopic({ topic, isGap, reason, crashed }: SubscribedStatus): string | undefined {
    if (!this.#subscribed.has(topic)) {
      this.#subscribed.add(topic);
      return undefined;
    }
    const why = crashed.length > 0 ? "a process of the server has crashed" : reason;
    return `subscribed to ${quote(topic)} again; ${
      isGap ? `messages may be missing here: ${why}` : "nothing is missing"
    }`;
  }
}
