import { assertEquals, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import { SetQueue } from "../../runtime/set_queue.ts";

interface Item {
  readonly n: number;
}

function items(count: number): Item[] {
  return Array.from({ length: count }, (_, n) => ({ n }));
}

describe("SetQueue", () => {
  it("gives items in the order in which they came, each once", () => {
    const queue = new SetQueue<Item>();
    const [a, b, c] = items(3) as [Item, Item, Item];
    for (const item of [a, b, a, c]) queue.add(item);
    assertEquals(queue.size, 3);
    assertEquals([queue.first, queue.first], [a, a]);
    assertEquals([queue.take(), queue.take(), queue.take(), queue.take()], [a, b, c, undefined]);
    assertEquals([queue.size, queue.first], [0, undefined]);
    queue.add(b);
    assertEquals([queue.take(), queue.take()], [b, undefined]);
  });

  it("lets items leave anywhere, and come back behind the others", () => {
    const queue = new SetQueue<Item>();
    const [a, b, c, d] = items(4) as [Item, Item, Item, Item];
    for (const item of [a, b, c]) queue.add(item);
    assertEquals(queue.first, a);
    assertEquals([queue.delete(a), queue.delete(a)], [true, false]);
    queue.add(a);
    assertEquals(queue.first, b);
    queue.delete(c);
    queue.add(d);
    assertEquals([queue.take(), queue.take(), queue.take(), queue.take()], [b, a, d, undefined]);
  });

  it("agrees with a naive one, whatever is done", () => {
    let state = Date.now() % 1_000_000_007;
    console.log(`set queue: seed ${state}`);
    const draw = (below: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor(state / 2 ** 32 * below);
    };
    const all = items(50);
    const queue = new SetQueue<Item>();
    let naive: Item[] = [];
    for (let i = 0; i < 20_000; i++) {
      const item = all[draw(50)]!;
      const what = draw(4);
      if (what === 0) {
        queue.add(item);
        if (!naive.includes(item)) naive.push(item);
      } else if (what === 1) {
        queue.delete(item);
        naive = naive.filter((one) => one !== item);
      } else if (what === 2) assertEquals(queue.take(), naive.shift());
      else {assertEquals([queue.first, queue.size, queue.has(item)], [
          naive[0],
          naive.length,
          naive.includes(item),
        ]);}
    }
    assertEquals([...queue], naive);
  });

  it("takes no longer because many have left", () => {
    const queue = new SetQueue<Item>();
    for (const item of items(20_000)) queue.add(item);
    const { values } = Set.prototype;
    let iterators = 0;
    Set.prototype.values = function <T>(this: Set<T>) {
      iterators++;
      return values.call(this) as SetIterator<T>;
    };
    try {
      for (let i = 0; i < 100_000; i++) queue.add(queue.take() as Item);
    } finally {
      Set.prototype.values = values;
    }
    // Each new one passes the places of all that have left.
    assertLess(iterators, 10);
  });
});
