import type { Delivered } from "../client/mod.ts";

/**
 * The messages of several topics in one order: that of their timestamps, as far as they have come together.
 * Those of one topic stay in their order.
 */
export class Arrivals {
  readonly #onMessage: (delivered: Delivered) => void;
  /** By topic; each empty between two turns of the event loop. */
  readonly #waiting: Delivered[][] = [];
  #turn: ReturnType<typeof setTimeout> | undefined;

  /** @param onMessage Called with each message, in a later turn of the event loop. */
  constructor(onMessage: (delivered: Delivered) => void) {
    this.#onMessage = onMessage;
  }

  /**
   * Takes the messages of all topics until all have ended.
   *
   * @param onError Called with each error that ends a topic; it should end the others.
   */
  async take(
    topics: readonly AsyncIterable<Delivered>[],
    onError: (error: unknown) => void,
  ): Promise<void> {
    await Promise.all(topics.map(async (messages) => {
      const waiting: Delivered[] = [];
      this.#waiting.push(waiting);
      try {
        for await (const delivered of messages) {
          waiting.push(delivered);
          this.#turn ??= setTimeout(() => this.#flush());
        }
      } catch (error) {
        onError(error);
      }
    }));
    this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#turn);
    this.#turn = undefined;
    const heads = this.#waiting.map(() => 0);
    for (;;) {
      let first: Delivered | undefined;
      let at = 0;
      for (const [topic, head] of heads.entries()) {
        const next = this.#waiting[topic]![head];
        if (next === undefined) continue;
        if (first !== undefined && next.timestamp >= first.timestamp) continue;
        first = next;
        at = topic;
      }
      if (first === undefined) break;
      heads[at]!++;
      this.#onMessage(first);
    }
    for (const waiting of this.#waiting) waiting.length = 0;
  }
}
