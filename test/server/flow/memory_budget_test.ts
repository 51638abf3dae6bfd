import { assert, assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { CHUNK_OVERHEAD_BYTES } from "../../../server/limits/costs.ts";
import { MemoryBudget } from "../../../server/flow/memory_budget.ts";
import { SharedChunk } from "../../../server/flow/shared_chunk.ts";

describe("the memory budget", () => {
  it("is tight from three quarters of its limit on, until it's well below again", () => {
    let alarms = 0;
    const budget = new MemoryBudget(1_000, { onTight: () => void alarms++ });
    budget.hold(750);
    assertEquals([budget.isTight, alarms], [false, 0]);
    budget.hold(1);
    assertEquals([budget.isTight, alarms], [true, 1]);
    budget.release(100);
    assert(budget.isTight);
    budget.hold(100);
    assertEquals(alarms, 1);
    budget.release(126);
    assertEquals([budget.isTight, budget.heldBytes], [true, 625]);
    budget.release(1);
    assertEquals([budget.isTight, budget.heldBytes], [false, 624]);
    budget.hold(127);
    assertEquals([budget.isTight, alarms], [true, 2]);
  });

  it("is exceeded above its limit", () => {
    const budget = new MemoryBudget(1_000, {});
    budget.hold(1_000);
    assert(!budget.isExceeded);
    budget.hold(1);
    assert(budget.isExceeded);
    budget.release(1);
    assert(!budget.isExceeded);
  });
});

describe("a shared chunk", () => {
  it("counts once, from its first holder to its last", () => {
    const budget = new MemoryBudget(1_000_000, {});
    const chunk = new SharedChunk(new Uint8Array(100), budget);
    assertEquals(budget.heldBytes, 0);
    for (let i = 0; i < 10; i++) chunk.retain();
    assertEquals(budget.heldBytes, 100 + CHUNK_OVERHEAD_BYTES);
    for (let i = 0; i < 9; i++) chunk.release();
    assertEquals(budget.heldBytes, 100 + CHUNK_OVERHEAD_BYTES);
    chunk.release();
    assertEquals(budget.heldBytes, 0);
    chunk.retain();
    assertEquals(budget.heldBytes, 100 + CHUNK_OVERHEAD_BYTES);
    chunk.release();
    assertEquals(budget.heldBytes, 0);
  });

  it("is kept whole by each holder of a part, and counts once", () => {
    const budget = new MemoryBudget(1_000_000, {});
    const whole = new SharedChunk(new Uint8Array(100), budget);
    const part = whole.slice(90, 100);
    const smaller = part.slice(5, 10);
    assertEquals([part.bytes.length, smaller.bytes.length], [10, 5]);
    part.retain();
    smaller.retain();
    whole.retain();
    assertEquals(budget.heldBytes, 100 + CHUNK_OVERHEAD_BYTES);
    whole.release();
    part.release();
    assertEquals(budget.heldBytes, 100 + CHUNK_OVERHEAD_BYTES);
    smaller.release();
    assertEquals(budget.heldBytes, 0);
  });

  it("looks into the memory that it shares", () => {
    const bytes = new Uint8Array([1, 2, 3, 4]);
    const chunk = new SharedChunk(bytes, new MemoryBudget(100, {}));
    assertEquals(chunk.slice(1, 3).bytes, new Uint8Array([2, 3]));
    assertEquals(chunk.slice(1, 3).bytes.buffer, bytes.buffer);
  });
});
