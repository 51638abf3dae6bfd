/** Keeps the items with the greatest values, of any number that are offered. */
export class TopList<Item> {
  readonly #most: number;
  /** A heap: no entry's value is less than that of the entry in the middle of the way to the front. */
  readonly #heap: { readonly item: Item; readonly value: number }[] = [];

  /** @param most How many items are kept. */
  constructor(most: number) {
    this.#most = most;
  }

  offer(item: Item, value: number): void {
    const heap = this.#heap;
    if (heap.length < this.#most) {
      heap.push({ item, value });
      this.#rise(heap.length - 1);
    } else if (value > heap[0]!.value) {
      heap[0] = { item, value };
      this.#sink();
    }
  }

  /** The kept items, that with the greatest value first. */
  items(): Item[] {
    return this.#heap.toSorted((a, b) => b.value - a.value).map(({ item }) => item);
  }

  #rise(from: number): void {
    const heap = this.#heap;
    for (let at = from; at > 0;) {
      const parent = (at - 1) >> 1;
      if (heap[parent]!.value <= heap[at]!.value) return;
      [heap[parent], heap[at]] = [heap[at]!, heap[parent]!];
      at = parent;
    }
  }

  #sink(): void {
    const heap = this.#heap;
    for (let at = 0;;) {
      const left = 2 * at + 1;
      if (left >= heap.length) return;
      const right = left + 1;
      const least = right < heap.length && heap[right]!.value < heap[left]!.value ? right : left;
      if (heap[at]!.value <= heap[least]!.value) return;
      [heap[at], heap[least]] = [heap[least]!, heap[at]!];
      at = least;
    }
  }
}
