import { assertEquals, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import { Gate } from "../../../server/flow/gate.ts";
import { MemoryRuntime } from "../../support/memory/memory_runtime.ts";

describe("a gate", () => {
  it("lets all who wait go on, some at a time", () => {
    const runtime = new MemoryRuntime({ turns: "manual" });
    const gate = new Gate(runtime, "memory");
    let resumed = 0;
    const waiters = Array.from({ length: 5_000 }, () => ({ resume: () => resumed++ }));
    for (const waiter of waiters) gate.wait(waiter);
    gate.open();
    assertEquals(resumed, 0);
    for (let before = 0; resumed < waiters.length; before = resumed) {
      runtime.turn();
      assertLess(resumed - before, 1_000);
    }
    runtime.settle();
    assertEquals(resumed, waiters.length);
  });

  it("calls none that has left while its turn was still to come", () => {
    const runtime = new MemoryRuntime({ turns: "manual" });
    const gate = new Gate(runtime, "memory");
    const resumed: number[] = [];
    const waiters = Array.from({ length: 2_000 }, (_, i) => ({ resume: () => resumed.push(i) }));
    for (const waiter of waiters) gate.wait(waiter);
    gate.open();
    runtime.turn();
    gate.leave(waiters[1_999]!);
    runtime.settle();
    assertEquals([resumed.length, resumed.includes(1_999)], [1_999, false]);
  });

  it("lets waiters go on that come while others haven't had their turn", () => {
    const runtime = new MemoryRuntime({ turns: "manual" });
    const gate = new Gate(runtime, "memory");
    let resumed = 0;
    for (let i = 0; i < 2_000; i++) gate.wait({ resume: () => resumed++ });
    gate.open();
    runtime.turn();
    gate.wait({ resume: () => resumed++ });
    gate.open();
    runtime.settle();
    assertEquals(resumed, 2_001);
  });

  it("keeps who comes back to it for the next time", () => {
    const runtime = new MemoryRuntime({ turns: "manual" });
    const gate = new Gate(runtime, "memory");
    let resumed = 0;
    const waiter = {
      resume: () => {
        resumed++;
        gate.wait(waiter);
      },
    };
    gate.wait(waiter);
    gate.open();
    runtime.settle();
    assertEquals(resumed, 1);
    gate.open();
    runtime.settle();
    assertEquals(resumed, 2);
  });
});
