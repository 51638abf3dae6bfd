import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { DueQueue } from "../../../server/flow/due_queue.ts";

/** The same in plain words: of those that wait, the one that is due first. */
class PlainQueue {
  readonly waiting = new Map<number, number>();
  #now = 0;

  add(item: number, cost: number): void {
    this.waiting.set(item, this.#now + cost);
  }

  /** When the next one is due. */
  get due(): number | undefined {
    return this.waiting.size === 0 ? undefined : Math.min(...this.waiting.values());
  }

  take(item: number): void {
    this.#now = this.waiting.get(item)!;
    this.waiting.delete(item);
  }
}

const cost = fc.integer({ min: 1, max: 1_000 });

describe("a queue of items that have a cost", () => {
  it("takes those that cost little first", () => {
    const queue = new DueQueue<string>();
    for (const cost of [5, 3, 9, 1]) queue.add(String(cost), cost);
    assertEquals([queue.size, queue.nextCost], [4, 1]);
    assertEquals([1, 2, 3, 4].map(() => queue.take()), ["1", "3", "5", "9"]);
    assertEquals([queue.size, queue.nextCost, queue.take()], [0, 0, undefined]);
  });

  it("takes the one that is due first, however items come and leave", () => {
    const step = fc.oneof(
      fc.record({ item: fc.nat(50), cost }),
      fc.record({ leaves: fc.nat(50) }),
      fc.constant("take" as const),
    );
    fc.assert(fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const [queue, plain] = [new DueQueue<number>(), new PlainQueue()];
      const take = () => {
        const { due } = plain;
        const item = queue.take();
        assertEquals(item === undefined ? undefined : plain.waiting.get(item), due);
        if (item !== undefined) plain.take(item);
      };
      for (const step of steps) {
        if (step === "take") take();
        else if ("leaves" in step) {
          queue.remove(step.leaves);
          plain.waiting.delete(step.leaves);
        } else if (!plain.waiting.has(step.item)) {
          queue.add(step.item, step.cost);
          plain.add(step.item, step.cost);
        }
        assertEquals(queue.size, plain.waiting.size);
      }
      while (plain.waiting.size > 0) take();
      assertEquals(queue.take(), undefined);
    }));
  });

  it("lets others that come again take no more than the one that waits costs, and once what they had", () => {
    fc.assert(fc.property(fc.array(cost, { minLength: 2, maxLength: 30 }), cost, (costs, own) => {
      const queue = new DueQueue<number>();
      for (const [item, cost] of costs.entries()) queue.add(item, cost);
      for (const _ of costs) {
        const item = queue.take()!;
        queue.add(item, costs[item]!);
      }
      const taken = costs.map(() => 0);
      queue.add(-1, own);
      for (let item = queue.take()!; item !== -1; item = queue.take()!) {
        taken[item]! += costs[item]!;
        queue.add(item, costs[item]!);
      }
      for (const [item, cost] of costs.entries()) {
        assertEquals(taken[item]! <= own + cost, true, `${taken[item]} of ${cost} before ${own}`);
      }
    }));
  });
});
