import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import * as fc from "fast-check";
import { describe, it } from "node:test";
import { CHUNK_OVERHEAD_BYTES } from "../../../server/limits/costs.ts";
import { assertBytes, join } from "../../support/bytes.ts";
import { Bench } from "./outbox_bench.ts";

const KIB = 1024;

describe("an outbox", () => {
  for (const answers of ["at once", "late"] as const) {
    it(`loses, repeats and reorders nothing, whatever the peer takes (writes end ${answers})`, async () => {
      const step = fc.oneof(
        { weight: 2, arbitrary: fc.record({ send: fc.integer({ min: 1, max: 200 }) }) },
        { weight: 1, arbitrary: fc.record({ send: fc.integer({ min: 1, max: 100 * KIB }) }) },
        { weight: 2, arbitrary: fc.record({ take: fc.integer({ min: 1, max: 300 }) }) },
        { weight: 1, arbitrary: fc.record({ take: fc.integer({ min: 1, max: 150 * KIB }) }) },
        { weight: 2, arbitrary: fc.record({ gather: fc.integer({ min: 1, max: 5 * KIB }) }) },
        { weight: 1, arbitrary: fc.constant({ flush: true }) },
        { weight: 1, arbitrary: fc.constant({ turn: true }) },
      );
      await fc.assert(
        fc.asyncProperty(
          fc.array(step, { maxLength: 300, size: "max" }),
          fc.integer({ min: 1, max: 70_000 }),
          async (steps, bufferBytes) => {
            const bench = await Bench.open(bufferBytes, answers);
            let sentBytes = 0;
            for (const step of steps) {
              if ("send" in step) {
                bench.send(step.send);
                sentBytes += step.send;
              } else if ("gather" in step) {
                bench.gather(step.gather);
                sentBytes += step.gather;
              } else if ("flush" in step) bench.outbox.flush();
              else if ("take" in step) bench.peer.take(step.take);
              else bench.net.turn();
              const kernelBytes = bench.peer.byteCount + bench.peer.waitingBytes;
              assertEquals(bench.outbox.pendingBytes, sentBytes - kernelBytes);
            }
            bench.outbox.flush();
            bench.peer.bufferBytes = 50_000;
            bench.peer.flow();
            bench.net.settle();
            assertBytes(bench.peer.received, join(bench.sent));
            assert(bench.outbox.isEmpty);
            assertEquals(bench.outbox.pendingBytes, 0);
            assertEquals(bench.budget.heldBytes, 0);
          },
        ),
        { numRuns: 60 },
      );
    });
  }

  it("writes straight through while nothing waits", async () => {
    const bench = await Bench.open(1_000);
    for (let i = 0; i < 10; i++) assertEquals(bench.send(100), true);
    assertEquals(bench.peer.writeCount, 10);
    assertEquals(bench.budget.heldBytes, 0);
    assert(bench.outbox.isEmpty);
    assertEquals(bench.send(100), false);
    assertEquals(bench.send(100), false);
    assertEquals(bench.outbox.pendingBytes, 200);
    assertEquals(bench.budget.heldBytes, 200 + 2 * CHUNK_OVERHEAD_BYTES);
    assert(!bench.outbox.isEmpty);
  });

  it("counts what the connection copies of the chunk in flight", async () => {
    const bench = await Bench.open(100, "at once", {}, 16 * KIB);
    assertEquals(bench.send(100), true);
    assertEquals(bench.budget.heldBytes, 0);
    bench.send(1_000);
    bench.send(60 * KIB);
    const bothBytes = 61_440 + 1_000 + 2 * CHUNK_OVERHEAD_BYTES;
    assertEquals(bench.budget.heldBytes, bothBytes + 1_000);
    for (let i = 0; i < 10; i++) bench.take(100);
    assertEquals(bench.budget.heldBytes, 61_440 + CHUNK_OVERHEAD_BYTES + 16 * KIB);
    bench.outbox.discard();
    assertEquals(bench.budget.heldBytes, 0);
  });

  it("joins small chunks that wait, so that each costs no write of its own", async () => {
    const bench = await Bench.open(64);
    for (let i = 0; i < 1_000; i++) bench.send(64);
    bench.peer.bufferBytes = 1_000_000;
    bench.net.settle();
    assertEquals(bench.peer.writeCount, 3);
    bench.peer.flow();
    bench.net.settle();
    assertBytes(bench.peer.received, join(bench.sent));
  });

  it("writes at once what was gathered, in front of what is sent behind it", async () => {
    const bench = await Bench.open(100 * KIB);
    for (let i = 0; i < 100; i++) assertEquals(bench.gather(64), true);
    assertEquals([bench.peer.writeCount, bench.outbox.pendingBytes], [0, 6_400]);
    // What is kept is no more behind than what isn't there yet.
    assertEquals([bench.outbox.isInFlight, bench.health(60_000)], [false, "fine"]);
    assertEquals(bench.outbox.flush(), true);
    assertEquals(bench.peer.writeCount, 1);
    bench.gather(64);
    assertEquals(bench.send(10), true);
    assertEquals(bench.peer.writeCount, 2);
    bench.peer.flow();
    bench.net.settle();
    assertBytes(bench.peer.received, join(bench.sent));
    assertEquals(bench.budget.heldBytes, 0);
  });

  it("gathers nothing large, not much in all, and nothing behind what is in flight", async () => {
    const bench = await Bench.open(100 * KIB);
    assertEquals(bench.gather(8 * KIB), false);
    let gathered = 0;
    while (bench.gather(KIB)) gathered += KIB;
    assertEquals([gathered, bench.peer.writeCount], [32 * KIB, 2]);
    bench.send(100 * KIB);
    assertEquals([bench.outbox.isInFlight, bench.gather(1)], [true, false]);
    const small = await Bench.open(KIB, "at once", { maxPendingBytes: KIB, maxFrameBytes: KIB });
    assertEquals([small.gather(65), small.gather(60)], [false, true]);
  });

  it("copies no chunk that is large already", async () => {
    const bench = await Bench.open(1);
    for (let i = 0; i < 4; i++) bench.send(100 * KIB);
    assertEquals(bench.budget.heldBytes, 4 * (100 * KIB + CHUNK_OVERHEAD_BYTES));
    for (let i = 0; i < 4; i++) {
      bench.peer.bufferBytes = bench.peer.waitingBytes + 100 * KIB;
      bench.net.settle();
      assertLessOrEqual(bench.budget.heldBytes, (4 - i) * (100 * KIB + CHUNK_OVERHEAD_BYTES));
    }
  });

  it("drops what waits, but not what is half sent", async () => {
    const bench = await Bench.open(50);
    for (let i = 0; i < 10; i++) bench.send(100);
    bench.outbox.dropQueue();
    assertEquals(bench.outbox.pendingBytes, 50);
    assertEquals(bench.budget.heldBytes, 100 + CHUNK_OVERHEAD_BYTES);
    const last = bench.send(70);
    assertEquals(last, false);
    bench.peer.flow();
    bench.net.settle();
    assertBytes(bench.peer.received, join([bench.sent[0]!, bench.sent[10]!]));
    assertEquals(bench.budget.heldBytes, 0);
  });

  it("frees everything when the connection is gone", async () => {
    const bench = await Bench.open(50);
    for (let i = 0; i < 10; i++) bench.send(100);
    bench.peer.reset();
    bench.net.settle();
    assertEquals(bench.budget.heldBytes, 0);
    assertEquals(bench.outbox.pendingBytes, 0);
    bench.outbox.discard();
    assertEquals(bench.budget.heldBytes, 0);
  });

  it("says when nothing waits any more", async () => {
    const bench = await Bench.open(100);
    for (let i = 0; i < 3; i++) bench.send(70 * KIB);
    bench.peer.flow();
    bench.net.settle();
    assertEquals(bench.answers, [false, false, true]);
  });
});
