import type { Gate, Waiter } from "../flow/gate.ts";
import type { Topic } from "../topics/topic.ts";

/** Tells another process which topics' messages it should hold. */
export interface HoldEvents {
  /** Messages to the topic should wait where they're published. */
  onHold(topic: string): void;
  /** They need not wait any more. */
  onLetGo(topic: string): void;
}

/**
 * The topics of which a link should bring no more for now. What is under way of them is taken: a link
 * is read on, since what comes behind is other topics'.
 */
export class HeldTopics {
  readonly #events: HoldEvents;
  readonly #held = new Map<string, HeldTopic>();

  constructor(events: HoldEvents) {
    this.#events = events;
  }

  /** Whether there is any. */
  get isEmpty(): boolean {
    return this.#held.size === 0;
  }

  /** Holds a topic until its publishers may go on, unless it's held already. */
  hold(topic: Topic, gate: Gate): void {
    const { name } = topic;
    if (this.#held.has(name)) return;
    const held = new HeldTopic(topic, gate, () => {
      this.#held.delete(name);
      this.#events.onLetGo(name);
    });
    this.#held.set(name, held);
    this.#events.onHold(name);
  }

  /** The link is gone: waits for none of them any more. */
  leave(): void {
    for (const held of this.#held.values()) held.leave();
    this.#held.clear();
  }
}

/** One topic, at the gate where its publishers wait in this process. */
class HeldTopic implements Waiter {
  readonly #topic: Topic;
  readonly #onFree: () => void;
  #gate: Gate;

  constructor(topic: Topic, gate: Gate, onFree: () => void) {
    this.#topic = topic;
    this.#onFree = onFree;
    this.#gate = gate;
    gate.wait(this);
  }

  resume(): void {
    const { gate } = this.#topic;
    if (gate === undefined) return this.#onFree();
    this.#gate = gate;
    gate.wait(this);
  }

  leave(): void {
    this.#gate.leave(this);
  }
}
