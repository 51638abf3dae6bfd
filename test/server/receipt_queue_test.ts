import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { MemoryBudget } from "../../server/memory_budget.ts";
import { ReceiptQueue } from "../../server/receipt_queue.ts";
import type { Receipt } from "../../server/receipts.ts";

function written(count: number): Receipt {
  return { matched: count, written: count, queued: 0, evicted: 0 };
}

describe("the receipts that a publisher is owed", () => {
  it("go out in the order of its messages, each with all of its parts", () => {
    const given: unknown[] = [];
    const budget = new MemoryBudget(1e6, {});
    const queue = new ReceiptQueue(budget, (micros, { written }) => given.push([micros, written]));
    const first = queue.owe(1, 2);
    const second = queue.owe(2, 1);
    second(written(5));
    first(written(1));
    assertEquals(given, []);
    first(written(2));
    assertEquals(given, [[1, 3], [2, 5]]);
  });

  it("are memory until then, which publishers wait for when there are too many", () => {
    const budget = new MemoryBudget(100_000, {});
    const queue = new ReceiptQueue(budget, () => {});
    const owed = Array.from({ length: 150 }, (_, i) => queue.owe(i, 1));
    assertEquals(budget.isTight, true);
    for (const take of owed) take(written(0));
    assertEquals([budget.isTight, budget.heldBytes], [false, 0]);
  });
});
