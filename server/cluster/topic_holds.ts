import type { Runtime } from "../../runtime/types.ts";
import { Gate } from "../flow/gate.ts";

/** Another process that may hold topics. */
export interface TopicHolder {
  /** True while it gives no sign of life: then no publisher waits for it. */
  readonly isStalled: boolean;
}

interface Hold {
  readonly gate: Gate;
  readonly holders: Set<TopicHolder>;
}

/**
 * The topics whose readers in other processes can't take more just now, and the gates where their
 * publishers in this process wait.
 */
export class TopicHolds {
  readonly #runtime: Runtime;
  readonly #holds = new Map<string, Hold>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** The gate where a topic's publishers should wait; `undefined` if they need not. */
  gateOf(topic: string): Gate | undefined {
    if (this.#holds.size === 0) return undefined;
    const hold = this.#holds.get(topic);
    if (hold === undefined) return undefined;
    for (const holder of hold.holders) if (!holder.isStalled) return hold.gate;
    return undefined;
  }

  hold(topic: string, holder: TopicHolder): void {
    let hold = this.#holds.get(topic);
    if (hold === undefined) {
      hold = { gate: new Gate(this.#runtime, "workers"), holders: new Set() };
      this.#holds.set(topic, hold);
    }
    hold.holders.add(holder);
  }

  letGo(topic: string, holder: TopicHolder): void {
    const hold = this.#holds.get(topic);
    if (!hold?.holders.delete(holder)) return;
    if (hold.holders.size === 0) this.#holds.delete(topic);
    hold.gate.open();
  }

  /**
   * To be called when a holder has stalled: opens the gates of its topics. Publishers that another process
   * holds too wait again.
   */
  pass(holder: TopicHolder): void {
    for (const { gate, holders } of this.#holds.values()) if (holders.has(holder)) gate.open();
  }

  /** Lets go all topics of a holder that has ended. */
  remove(holder: TopicHolder): void {
    for (const topic of [...this.#holds.keys()]) this.letGo(topic, holder);
  }
}
