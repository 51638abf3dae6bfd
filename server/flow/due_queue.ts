/** An item in the queue. */
interface Entry<Item> {
  readonly item: Item;
  readonly cost: number;
  /** The time when it is due, on the queue's own clock. */
  readonly due: number;
  /** Its index in the heap. */
  place: number;
}

/**
 * A queue of items with a cost each. It takes them in the order in which they would be finished if all
 * were served at the same time, each at the same speed. So a cheap item comes before many dear ones. The
 * dear ones come too, since the queue's clock moves on with each item. While an item of cost c waits, an
 * item that is taken and put back again and again is taken before it at most until its costs add up to
 * more than c. (The scheme is self-clocked fair queueing, Golestani 1994.)
 */
export class DueQueue<Item> {
  /** A binary heap: no entry is due before its parent. */
  readonly #heap: Entry<Item>[] = [];
  readonly #entries = new Map<Item, Entry<Item>>();
  /** The time when the last item that was taken was due. */
  #now = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** The cost of the next item; 0 if the queue is empty. */
  get nextCost(): number {
    return this.#heap[0]?.cost ?? 0;
  }

  /** @param cost More than 0. The item must not be in the queue. */
  add(item: Item, cost: number): void {
    const place = this.#heap.length;
    const entry = { item, cost, due: this.#now + cost, place };
    this.#entries.set(item, entry);
    this.#rise(entry, place);
  }

  /** Takes the next item. */
  take(): Item | undefined {
    const entry = this.#heap[0];
    if (entry === undefined) return undefined;
    this.#now = entry.due;
    this.remove(entry.item);
    return entry.item;
  }

  /** Removes an item if it is in the queue. */
  remove(item: Item): void {
    const entry = this.#entries.get(item);
    if (entry === undefined) return;
    this.#entries.delete(item);
    const last = this.#heap.pop();
    if (last === undefined || last === entry) return;
    if (last.due < entry.due) this.#rise(last, entry.place);
    else this.#sink(last, entry.place);
  }

  /** Puts an entry at a free place, or above it. */
  #rise(entry: Entry<Item>, from: number): void {
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = this.#heap[parent] as Entry<Item>;
      if (above.due <= entry.due) break;
      this.#put(above, place);
      place = parent;
    }
    this.#put(entry, place);
  }

  /** Puts an entry at a free place, or below it. */
  #sink(entry: Entry<Item>, from: number): void {
    const heap = this.#heap;
    let place = from;
    for (let child = place * 2 + 1; child < heap.length; child = place * 2 + 1) {
      const right = heap[child + 1];
      if (right !== undefined && right.due < (heap[child] as Entry<Item>).due) child++;
      const below = heap[child] as Entry<Item>;
      if (entry.due <= below.due) break;
      this.#put(below, place);
      place = child;
    }
    this.#put(entry, place);
  }

  #put(entry: Entry<Item>, place: number): void {
    this.#heap[place] = entry;
    entry.place = place;
  }
}
