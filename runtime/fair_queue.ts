/**
 * A queue that serves addresses in turns.
 *
 * @module
 */

import { SetQueue } from "./set_queue.ts";

/** An item that waits for its turn. */
export interface Queued {
  /** The address whose turns it shares. */
  readonly site: string;
  /** True if it takes little time; read when it begins to wait. */
  readonly isLight: boolean;
}

/** The waiting items of one address. */
interface Queue<Item extends Queued> {
  readonly site: string;
  readonly light: SetQueue<Item>;
  readonly heavy: SetQueue<Item>;
  taken: number;
}

/** Of an address's items one in four taken is heavy, while both kinds wait. */
const HEAVY_ONE_IN = 4;

/**
 * Addresses take turns. Within an address, light items come before heavy ones, which still get a quarter
 * of its turns. Among equals the longest waiting is next.
 */
export class FairQueue<Item extends Queued> {
  readonly #queues = new Map<string, Queue<Item>>();
  /** In the order of their turns. */
  readonly #turns = new SetQueue<Queue<Item>>();

  /** True if no item waits. */
  get isEmpty(): boolean {
    return this.#queues.size === 0;
  }

  /** Adds an item behind its equals. Does nothing if it already waits. */
  add(item: Item): void {
    const { site } = item;
    let queue = this.#queues.get(site);
    if (queue === undefined) {
      queue = { site, light: new SetQueue(), heavy: new SetQueue(), taken: 0 };
      this.#queues.set(site, queue);
      this.#turns.add(queue);
    }
    const { light, heavy } = queue;
    if (!light.has(item) && !heavy.has(item)) (item.isLight ? light : heavy).add(item);
  }

  /** Removes an item if it waits. */
  delete(item: Item): void {
    const queue = this.#queues.get(item.site);
    if (queue === undefined) return;
    if (!queue.light.delete(item)) queue.heavy.delete(item);
    if (queue.light.size + queue.heavy.size > 0) return;
    this.#queues.delete(item.site);
    this.#turns.delete(queue);
  }

  /** Takes the next item; `undefined` if none waits. */
  take(): Item | undefined {
    const queue = this.#turns.take();
    if (queue === undefined) return undefined;
    const { site, light, heavy } = queue;
    const isHeavyDue = ++queue.taken % HEAVY_ONE_IN === 0;
    const from = heavy.size > 0 && (isHeavyDue || light.size === 0) ? heavy : light;
    const item = from.take();
    if (light.size + heavy.size > 0) this.#turns.add(queue);
    else this.#queues.delete(site);
    return item;
  }
}
