/**
 * Who is next, of many that share what there is by their addresses.
 *
 * @module
 */

/** One that waits for its turn. */
export interface Queued {
  /** The address that it shares its turns with. */
  readonly site: string;
  /** Whether it takes little of what is shared; asked when it begins to wait. */
  readonly isLight: boolean;
}

/** Those of one address that wait. */
interface Queue<Item> {
  readonly light: Set<Item>;
  readonly heavy: Set<Item>;
  taken: number;
}

/** Of those taken of an address, one in so many is heavy, while some of both wait. */
const HEAVY_ONE_IN = 4;

/**
 * Addresses take turns, and of each those that take little come before those that take much, as long as
 * the others get a quarter of the turns. Of equals the one that has waited longest is next.
 */
export class FairQueue<Item extends Queued> {
  /** In the order of their turns. */
  readonly #queues = new Map<string, Queue<Item>>();

  /** Whether none waits. */
  get isEmpty(): boolean {
    return this.#queues.size === 0;
  }

  /** Adds one behind its equals; nothing where it waits already. */
  add(item: Item): void {
    const { site } = item;
    let queue = this.#queues.get(site);
    if (queue === undefined) {
      queue = { light: new Set(), heavy: new Set(), taken: 0 };
      this.#queues.set(site, queue);
    }
    const { light, heavy } = queue;
    if (!light.has(item) && !heavy.has(item)) (item.isLight ? light : heavy).add(item);
  }

  /** Forgets one that may wait. */
  delete(item: Item): void {
    const queue = this.#queues.get(item.site);
    if (queue === undefined) return;
    if (!queue.light.delete(item)) queue.heavy.delete(item);
    if (queue.light.size + queue.heavy.size === 0) this.#queues.delete(item.site);
  }

  /** Takes the one that is next. */
  take(): Item | undefined {
    for (const [site, queue] of this.#queues) {
      const { light, heavy } = queue;
      const isHeavyDue = ++queue.taken % HEAVY_ONE_IN === 0;
      const from = heavy.size > 0 && (isHeavyDue || light.size === 0) ? heavy : light;
      const [item] = from;
      this.#queues.delete(site);
      if (item !== undefined) from.delete(item);
      if (light.size + heavy.size > 0) this.#queues.set(site, queue);
      return item;
    }
    return undefined;
  }
}
