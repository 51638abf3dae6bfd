import type { Gate, Waiter } from "../flow/gate.ts";
import type { Topic } from "../topics/topic.ts";

/** Tells another process for which topics its publishers should wait. */
export interface HoldEvents {
  /** The topic's publishers should wait in the other process. */
  onHold(topic: string): void;
  /** The topic's publishers may go on. */
  onLetGo(topic: string): void;
}

/**
 * The topics of which a link should bring no more for now. Their messages that are under way are still
 * taken, and the link is read on, since messages of other topics come behind them.
 */
export class HeldTopics {
  readonly #events: HoldEvents;
  readonly #held = new Map<string, HeldTopic>();

  constructor(events: HoldEvents) {
    this.#events = events;
  }

  /** True if no topic is held. */
  get isEmpty(): boolean {
    return this.#held.size === 0;
  }

  /** Holds a topic until its gate opens, unless it is held already. */
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

  /** Stops waiting at all gates, because the link is gone. */
  leave(): void {
    for (const held of this.#held.values()) held.leave();
    this.#held.clear();
  }
}

/** One held topic, which waits at the gate where its publishers wait in this process. */
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
