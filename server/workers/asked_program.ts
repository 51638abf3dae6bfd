import type { TopicAction, TopicHooks, TopicRequest } from "../embedding/topic_permits.ts";

/** A question to the program that embeds the server. */
export type Question = (asked: number, action: TopicAction, request: TopicRequest) => void;

/** The program that embeds the server, as one of its workers asks it over the supervisor. */
export class AskedProgram {
  readonly #ask: Question;
  readonly #waiting = new Map<number, (isAllowed: boolean) => void>();
  #last = 0;

  /** @param ask Sends a question. Each is answered, at the latest when its time is over. */
  constructor(ask: Question) {
    this.#ask = ask;
  }

  /** The hooks that ask. */
  hooksFor(actions: readonly TopicAction[]): TopicHooks | undefined {
    if (actions.length === 0) return undefined;
    return Object.fromEntries(actions.map((action) => [
      action,
      (request: TopicRequest) =>
        new Promise<boolean>((resolve) => {
          const asked = ++this.#last;
          this.#waiting.set(asked, resolve);
          this.#ask(asked, action, request);
        }),
    ]));
  }

  /** Takes an answer. */
  hear(asked: number, isAllowed: boolean): void {
    this.#waiting.get(asked)?.(isAllowed);
    this.#waiting.delete(asked);
  }
}
