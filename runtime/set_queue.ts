/**
 * A queue that items may leave anywhere.
 *
 * @module
 */

/**
 * Items in the order in which they came, each once. It's a `Set` of which one iterator is kept: a new one
 * would first pass the places of all that have left in front, some 60 us for each of ten thousand items.
 */
export class SetQueue<Item extends object> {
  readonly #items = new Set<Item>();
  /** All items that it has passed but {@linkcode first} have left. */
  #iterator: IterableIterator<Item> | undefined;
  #first: Item | undefined;

  /** The number of items. */
  get size(): number {
    return this.#items.size;
  }

  has(item: Item): boolean {
    return this.#items.has(item);
  }

  /** Adds an item behind the others. Does nothing if it is there. */
  add(item: Item): void {
    this.#items.add(item);
  }

  /** Removes an item. Returns false if it isn't there. */
  delete(item: Item): boolean {
    if (item === this.#first) this.#first = undefined;
    return this.#items.delete(item);
  }

  /** The item that has been there for longest; `undefined` if there is none. */
  get first(): Item | undefined {
    return this.#first ??= this.#next();
  }

  /** Takes the item that has been there for longest; `undefined` if there is none. */
  take(): Item | undefined {
    const { first } = this;
    if (first !== undefined) this.delete(first);
    return first;
  }

  #next(): Item | undefined {
    if (this.#items.size === 0) {
      this.#iterator = undefined;
      return undefined;
    }
    let next = this.#iterator?.next();
    if (next === undefined || next.done) next = (this.#iterator = this.#items.values()).next();
    return next.value;
  }

  [Symbol.iterator](): IterableIterator<Item> {
    return this.#items.values();
  }
}
