import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import * as fc from "fast-check";
import { describe, it } from "node:test";
import type { Connection } from "../../../runtime/types.ts";
import { CoarseClock } from "../../../server/timing/coarse_clock.ts";
import { type Limits } from "../../../server/limits.ts";
import { STALL_MS } from "../../../server/limits/clients.ts";
import { CHUNK_OVERHEAD_BYTES } from "../../../server/limits/costs.ts";
import { MemoryBudget } from "../../../server/flow/memory_budget.ts";
import { completeLimits } from "../../../server/serve.ts";
import { Outbox } from "../../../server/flow/outbox.ts";
import { SharedChunk } from "../../../server/flow/shared_chunk.ts";
import { assertBytes, join, pattern } from "../../support/bytes.ts";
import type { MemoryPeer } from "../../support/memory/memory_peer.ts";
import { MemoryRuntime } from "../../support/memory/memory_runtime.ts";

const KIB = 1024;

/** An outbox to a peer that takes what the test says. */
class Bench {
  readonly net: MemoryRuntime;
  readonly clock = new CoarseClock(5_000);
  readonly budget = new MemoryBudget(Number.MAX_SAFE_INTEGER, {});
  readonly outbox: Outbox;
  readonly peer: MemoryPeer;
  readonly sent: Uint8Array[] = [];
  /** The answers of `drained`, call by call. */
  readonly answers: boolean[] = [];

  private constructor(net: MemoryRuntime, outbox: (bench: Bench) => Outbox, peer: MemoryPeer) {
    this.net = net;
    this.peer = peer;
    this.outbox = outbox(this);
  }

  /** @param bufferBytes What is taken before the peer reads anything. */
  static async open(
    bufferBytes: number,
    answers: "at once" | "late" = "at once",
    limits: Partial<Limits> = {},
    copiedBytes = 0,
  ): Promise<Bench> {
    const net = new MemoryRuntime({ turns: "manual", answers });
    let connection: Connection | undefined;
    const listener = await net.listen(net.anywhere, (accepted) => {
      connection = Object.assign(accepted, { copiedBytes });
      return {
        onData() {},
        onDrain() {
          bench.answers.push(bench.outbox.drained());
        },
        onEnd() {},
        onClose() {
          bench.outbox.discard();
        },
      };
    });
    const peer = net.dial(listener.address, { bufferBytes });
    peer.stall();
    const all: Limits = completeLimits({ maxConnections: 1, ...limits });
    const bench: Bench = new Bench(
      net,
      ({ budget, clock }) =>
        new Outbox(connection!, {
          limits: all,
          budget,
          clock,
          copies: true,
          counters: { bytesOut: 0 },
        }),
      peer,
    );
    return bench;
  }

  send(bytes: number): boolean {
    const chunk = pattern(this.sent.length + 1, bytes);
    this.sent.push(chunk);
    return this.outbox.send(new SharedChunk(chunk, this.budget));
  }

  /** Keeps a chunk for a later write, or sends it where that isn't done. */
  gather(bytes: number): boolean {
    const chunk = pattern(this.sent.length + 1, bytes);
    this.sent.push(chunk);
    const shared = new SharedChunk(chunk, this.budget);
    if (this.outbox.gather(shared)) return true;
    this.outbox.send(shared);
    return false;
  }

  /** The peer takes so many bytes, and the loop settles. */
  take(bytes: number): void {
    this.peer.take(bytes);
    this.net.settle();
  }

  health(ms = 0): string {
    this.clock.nowMs += ms;
    return this.outbox.health(this.clock.nowMs);
  }
}

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

describe("an outbox's health", () => {
  it("is fine while nothing waits, however long", async () => {
    const bench = await Bench.open(1_000);
    bench.send(10);
    assertEquals(bench.health(1e9), "fine");
  });

  it("is past the write deadline when the peer took no byte for so long", async () => {
    const bench = await Bench.open(10, "at once", { writeDeadlineMs: 4_000 });
    bench.send(100);
    assertEquals(bench.health(), "fine");
    assertEquals(bench.health(STALL_MS - 1), "fine");
    assertEquals(bench.health(1), "stalled");
    assertEquals(bench.health(2_999), "stalled");
    assertEquals(bench.health(1), "past_write_deadline");
  });

  for (const answers of ["at once", "late"] as const) {
    it(`counts a single byte as progress, also within a chunk (writes end ${answers})`, async () => {
      const bench = await Bench.open(10, answers, { writeDeadlineMs: 4_000 });
      bench.send(100);
      bench.net.settle();
      assertEquals(bench.health(), "fine");
      for (let i = 0; i < 20; i++) {
        assertEquals(bench.health(3_999), "stalled");
        bench.take(1);
        assertEquals(bench.health(), "fine");
      }
    });
  }

  it("counts the time from when something waited, not from the connection's beginning", async () => {
    const bench = await Bench.open(10, "at once", { writeDeadlineMs: 4_000 });
    assertEquals(bench.health(60_000), "fine");
    bench.send(100);
    assertEquals(bench.health(), "fine");
  });

  it("doesn't take what the server drops for what the peer takes", async () => {
    const bench = await Bench.open(10, "at once", { writeDeadlineMs: 4_000 });
    for (let i = 0; i < 10; i++) bench.send(100);
    assertEquals(bench.health(), "fine");
    assertEquals(bench.health(3_000), "stalled");
    bench.outbox.dropQueue();
    assertEquals(bench.health(1_000), "past_write_deadline");
  });

  it("is past the soft limit when more than that waits for too long, though it moves", async () => {
    const limits = { softPendingBytes: 500, softPendingMs: 3_000, writeDeadlineMs: 60_000 };
    const bench = await Bench.open(10, "at once", limits);
    for (let i = 0; i < 10; i++) bench.send(100);
    assertEquals(bench.health(), "fine");
    bench.take(10);
    assertEquals(bench.health(2_999), "fine");
    bench.take(10);
    assertEquals(bench.health(1), "past_soft_limit");
  });

  it("forgets a queue over the soft limit that was under it in between", async () => {
    const limits = { softPendingBytes: 500, softPendingMs: 3_000, writeDeadlineMs: 60_000 };
    const bench = await Bench.open(10, "at once", limits);
    for (let i = 0; i < 10; i++) bench.send(100);
    assertEquals(bench.health(), "fine");
    for (let i = 0; i < 60; i++) bench.take(10);
    assertEquals(bench.health(), "fine");
    for (let i = 0; i < 10; i++) bench.send(100);
    assertEquals(bench.health(2_000), "stalled");
    bench.take(10);
    assertEquals(bench.health(2_999), "fine");
    bench.take(10);
    assertEquals(bench.health(1), "past_soft_limit");
  });

  it("holds publishers for a reader that is behind and moves, and for no other", async () => {
    const limits = { softPendingBytes: 100 * KIB, softPendingMs: 60_000 };
    const bench = await Bench.open(10, "at once", limits);
    for (let i = 0; i < 30; i++) bench.send(10 * KIB);
    // What it took before it fell behind speaks for it, for a second.
    assert(bench.outbox.holdsPublishers());
    assertEquals(bench.outbox.hasTakenSome, false);
    for (let i = 0; i < 1_500; i++) bench.take(10);
    assert(bench.outbox.holdsPublishers());
    assert(bench.outbox.hasTakenSome);
    assertEquals(bench.health(STALL_MS), "fine");
    assertEquals(bench.health(STALL_MS), "stalled");
    assertEquals(bench.outbox.holdsPublishers(), false);
    bench.peer.flow();
    bench.net.settle();
    assertEquals(bench.outbox.holdsPublishers(), false);
    assert(bench.outbox.hasCaughtUp);
    assertEquals(bench.outbox.pendingBytes, 0);
  });

  it("holds publishers no longer than more than the soft limit may wait", async () => {
    const limits = { softPendingBytes: 100 * KIB, softPendingMs: 3_000 };
    const bench = await Bench.open(10, "at once", limits);
    for (let i = 0; i < 30; i++) bench.send(10 * KIB);
    for (let i = 0; i < 1_500; i++) bench.take(10);
    assert(bench.outbox.holdsPublishers());
    for (let i = 0; i < 5; i++) {
      bench.take(10);
      bench.health(500);
    }
    assert(bench.outbox.holdsPublishers());
    bench.take(10);
    bench.health(500);
    assert(bench.outbox.hasHeldTooLong);
    assertEquals(bench.outbox.holdsPublishers(), false);
    bench.peer.flow();
    bench.net.settle();
    assertEquals(bench.outbox.hasHeldTooLong, false);
  });
});
