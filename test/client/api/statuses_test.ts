import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "node:test";
import { type Status, Statuses } from "../../../client/api/statuses.ts";

describe("a listener to statuses that throws", () => {
  it("is heard of as an uncaught error, and disturbs nothing", async () => {
    const { queueMicrotask } = globalThis;
    const queued: (() => void)[] = [];
    globalThis.queueMicrotask = (task) => queued.push(task);
    try {
      const statuses = new Statuses(() => {
        throw new Error("the listener's own");
      });
      const told = statuses.iterate();
      const status: Status = { state: "open", url: "ws://localhost" };
      statuses.tell(status);
      assertEquals(queued.length, 1);
      assertThrows(queued[0]!, Error, "the listener's own");
      assertEquals((await told.next()).value, status);
    } finally {
      globalThis.queueMicrotask = queueMicrotask;
    }
  });
});
