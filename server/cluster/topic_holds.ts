import type { Runtime } from "../../runtime/types.ts";
import { Gate } from "../flow/gate.ts";

/** Another process that may hold topics. */
export interface TopicHolder {
  /** Whether it gives no sign of life: then it holds nothing up. */
  readonly isStalled: boolean;
}

interface Hold {
  readonly gate: Gate;
  readonly holders: Set<TopicHolder>;
}

/**
 * The topics whose readers in other processes can't take more just now, and where their publishers in
 * this process wait.
 */
export class TopicHolds {
  readonly #runtime: Runtime;
  readonly #holds = new Map<string, Hold>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Where publishers of a topic should wait, if they should. */
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
      hold = { gate: new Gate(this.#runtime), holders: new Set() };
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

  /** The holder has stalled: those who wait because of it go on, unless another one holds them too. */
  pass(holder: TopicHolder): void {
    for (const { gate, holders } of this.#holds.values()) if (holders.has(holder)) gate.open();
  }

  /** The holder is no more. */
  remove(holder: TopicHolder): void {
    for (const topic of [...this.#holds.keys()]) this.letGo(topic, holder);
  }
}
