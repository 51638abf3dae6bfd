/** Taken items stay in front of the array until there are so many, and they are the larger part. */
const MIN_COMPACTION = 64;

/** A queue whose operations take constant time, whatever its length. */
export class Fifo<Item> {
  #items: Item[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  /** The oldest item, if there is one. */
  peek(): Item | undefined {
    return this.#items[this.#head];
  }

  /** All items, the oldest first. Nothing may be pushed or taken meanwhile. */
  *[Symbol.iterator](): Generator<Item> {
    for (let i = this.#head; i < this.#items.length; i++) yield this.#items[i] as Item;
  }

  /** Takes the oldest item, if there is one. */
  shift(): Item | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head] as Item;
    // The array must not keep a taken item alive.
    this.#items[this.#head++] = undefined as Item;
    if (this.#head === this.#items.length) {
      this.#items.length = this.#head = 0;
    } else if (this.#head >= MIN_COMPACTION && this.#head * 2 >= this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    return item;
  }
}
