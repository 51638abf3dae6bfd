import { assertEquals, assertGreater, assertLess, assertLessOrEqual } from "@std/assert";
import * as fc from "fast-check";
import { describe, it } from "node:test";
import { dataOf, framesOf, MemoryBed } from "../../support/memory/memory_bed.ts";
import type { MemoryPeer } from "../../support/memory/memory_peer.ts";
import type { Limits } from "../../../server/limits.ts";
import { publish, subscribe, unsubscribe } from "../../support/clients/janus_client.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Publishes numbered messages of about that many bytes, all in one go. */
function flood(
  publisher: MemoryPeer,
  topic: string,
  from: number,
  to: number,
  bytes: number,
): void {
  const padding = "p".repeat(bytes);
  let burst = "";
  for (let i = from; i < to; i++) {
    burst += publish(`{"topic":"${topic}","data":${i},"padding":"${padding}"}`);
  }
  publisher.send(burst);
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** Lets a stalled peer take so much of what waits before each sweep, for so long. */
function trickle(bed: MemoryBed, peer: MemoryPeer, bytes: number, ms: number): void {
  bed.pass(ms, () => peer.take(bytes));
}

describe("backpressure", () => {
  for (const answers of ["at once", "late"] as const) {
    it(`loses, repeats and reorders nothing, however peers take it (writes end ${answers})`, async () => {
      const which = fc.nat(4);
      const step = fc.oneof(
        { weight: 5, arbitrary: fc.record({ publish: fc.integer({ min: 1, max: 400 }) }) },
        { weight: 1, arbitrary: fc.record({ publish: fc.integer({ min: 1, max: 20_000 }) }) },
        { weight: 3, arbitrary: fc.record({ take: fc.integer({ min: 1, max: 2_000 }), which }) },
        { weight: 1, arbitrary: fc.record({ buffer: fc.integer({ min: 1, max: 3_000 }), which }) },
        { weight: 1, arbitrary: fc.record({ join: which }) },
        { weight: 1, arbitrary: fc.record({ leave: which }) },
        { weight: 4, arbitrary: fc.record({ turns: fc.integer({ min: 1, max: 5 }) }) },
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 200, size: "max" }), async (steps) => {
          const bed = await MemoryBed.start({}, { answers, writesPerTurn: 2 });
          const peers = upTo(5).map(() => bed.dial({ bufferBytes: 1_000 }));
          for (const peer of peers) peer.stall();
          const isIn = peers.map(() => false);
          const expected: number[][] = peers.map(() => []);
          const publisher = bed.dial();
          let next = 0;
          for (const step of steps) {
            if ("publish" in step) {
              const padding = "x".repeat(step.publish);
              publisher.send(publish(`{"topic":"t","data":${next},"p":"${padding}"}`));
              // It is read in the next turn, as are all before it.
              bed.net.turn();
              for (const [i, list] of expected.entries()) if (isIn[i]) list.push(next);
              next++;
            } else if ("take" in step) peers[step.which]!.take(step.take);
            else if ("buffer" in step) peers[step.which]!.bufferBytes = step.buffer;
            else if ("join" in step) {
              peers[step.join]!.send(subscribe("t"));
              bed.net.turn();
              isIn[step.join] = true;
            } else if ("leave" in step) {
              peers[step.leave]!.send(unsubscribe("t"));
              bed.net.turn();
              isIn[step.leave] = false;
            } else for (let i = 0; i < step.turns; i++) bed.net.turn();
          }
          for (const peer of peers) {
            peer.bufferBytes = 20_000;
            peer.flow();
          }
          bed.net.settle();
          for (const [i, peer] of peers.entries()) assertEquals(dataOf(peer), expected[i]);
          assertEquals(bed.server.heldBytes, 0);
        }),
        { numRuns: 60 },
      );
    });
  }

  it("costs a stalled peer's neighbours not a single turn", async () => {
    const turnsWith = async (stalled: number) => {
      const bed = await MemoryBed.start({}, { writesPerTurn: 16 });
      for (let i = 0; i < stalled; i++) bed.subscribed(["t"], { bufferBytes: 200 }).stall();
      const healthy = upTo(500).map(() => bed.subscribed(["t"]));
      const publisher = bed.dial();
      let turns = 0;
      for (let round = 0; round < 10; round++) {
        flood(publisher, "t", round, round + 1, 1_000);
        for (const peer of healthy) {
          while (dataOf(peer).length <= round) {
            bed.net.turn();
            turns++;
          }
        }
      }
      for (const peer of healthy) assertEquals(dataOf(peer), upTo(10));
      return turns;
    };
    // Ten more places in the pass, which sixteen writes to a turn make one turn a round.
    assertLessOrEqual(await turnsWith(10), await turnsWith(0) + 10);
  });

  it("writes to a stalled peer no more once something waits for it", async () => {
    const bed = await MemoryBed.start();
    const stalled = bed.subscribed(["t"], { bufferBytes: 200 });
    stalled.stall();
    const publisher = bed.dial();
    for (let i = 0; i < 50; i++) {
      flood(publisher, "t", i, i + 1, 1_000);
      bed.net.settle();
    }
    // The greeting, the ACK, and the one that is in flight.
    assertEquals(stalled.writeCount, 3);
  });

  it("counts a buffer once that waits for many", async () => {
    const bed = await MemoryBed.start();
    const stalled = upTo(200).map(() => bed.subscribed(["t"], { bufferBytes: 150 }));
    for (const peer of stalled) peer.stall();
    const publisher = bed.dial();
    for (let i = 0; i < 100; i++) {
      flood(publisher, "t", i, i + 1, 1_000);
      bed.net.settle();
    }
    assertGreater(bed.server.heldBytes, 100 * 1_000);
    assertLess(bed.server.heldBytes, 100 * 1_200);
    for (const peer of stalled.slice(1)) peer.reset();
    bed.net.settle();
    assertGreater(bed.server.heldBytes, 100 * 1_000);
    stalled[0]!.reset();
    bed.net.settle();
    assertEquals(bed.server.heldBytes, 0);
  });

  for (const order of ["before", "behind"] as const) {
    it(`pauses a burst's publisher before it costs a healthy reader ${order} a faster one`, async () => {
      const limits = { maxPendingBytes: 2 * MIB, softPendingBytes: 128 * KIB };
      const bed = await MemoryBed.start(limits, { bufferBytes: 64 * KIB });
      // An eighth and a half of what the publisher can send meanwhile.
      const readers = [8 * KIB, 32 * KIB];
      if (order === "behind") readers.reverse();
      const peers = readers.map((bufferBytes) => bed.subscribed(["t"], { bufferBytes }));
      const publisher = bed.dial();
      flood(publisher, "t", 0, 2_000, 4 * KIB);
      while (!bed.net.isSettled) {
        bed.net.turn();
        assertLess(bed.server.heldBytes, 2 * MIB);
      }
      for (const peer of peers) assertEquals(dataOf(peer), upTo(2_000));
      assertEquals(bed.ended, []);
      assertGreater(bed.server.counters.publisherPauses, 3);
    });
  }

  it("pauses no publisher for a reader that never reads", async () => {
    const bed = await MemoryBed.start({ softPendingBytes: 64 * KIB });
    const stalled = bed.subscribed(["t"], { bufferBytes: 200 });
    stalled.stall();
    const healthy = bed.subscribed(["t"]);
    const publisher = bed.dial();
    for (let i = 0; i < 300; i++) {
      flood(publisher, "t", i, i + 1, 4 * KIB);
      bed.net.settle();
    }
    assertEquals(dataOf(healthy), upTo(300));
    assertEquals(bed.server.counters.publisherPauses, 0);
  });

  it("pauses a burst's publisher when most readers fall behind at once", async () => {
    // Nobody reads a byte before far more than the limit has been sent.
    const bed = await MemoryBed.start({ maxPendingBytes: MIB, softPendingBytes: 64 * KIB });
    const peers = [1, 2, 3].map(() => bed.subscribed(["t"], { bufferBytes: 16 * KIB }));
    const deaf = bed.subscribed(["t"], { bufferBytes: 16 * KIB });
    for (const peer of [...peers, deaf]) peer.stall();
    const publisher = bed.dial();
    flood(publisher, "t", 0, 1_000, 4 * KIB);
    bed.net.settle();
    assertGreater(bed.server.counters.publisherPauses, 0);
    for (const peer of peers) peer.flow();
    bed.net.settle();
    bed.pass(2_000);
    for (const peer of peers) assertEquals(dataOf(peer), upTo(1_000));
    assertEquals(bed.ended.map(({ reason }) => reason), ["slow_consumer"]);
  });

  /** A reader that fell behind, and a publisher that waits for it with most still to send. */
  async function held(limits: Partial<Limits>) {
    const bed = await MemoryBed.start({ softPendingBytes: 64 * KIB, ...limits });
    const lagging = bed.subscribed(["t"], { bufferBytes: 16 * KIB });
    const healthy = bed.subscribed(["t"], { bufferBytes: MIB });
    const publisher = bed.dial();
    flood(publisher, "t", 0, 500, 4 * KIB);
    for (let turn = 0; turn < 15; turn++) bed.net.turn();
    lagging.stall();
    bed.net.settle();
    assertGreater(bed.server.counters.publisherPauses, 0);
    assertLess(dataOf(healthy).length, 200);
    assertEquals(bed.ended, []);
    return { bed, lagging, healthy };
  }

  it("lets a publisher go on when the reader that it waits for has stalled for a second", async () => {
    const { bed, lagging, healthy } = await held({ maxPendingBytes: 64 * MIB });
    bed.pass(750);
    assertLess(dataOf(healthy).length, 200);
    bed.pass(1_000);
    assertEquals(dataOf(healthy), upTo(500));
    assertEquals(bed.ended, []);
    lagging.bufferBytes = 64 * KIB;
    lagging.flow();
    bed.net.settle();
    assertEquals(dataOf(lagging), upTo(500));
  });

  it("lets a publisher go on once little waits for the reader that it waits for, though it only trickles", async () => {
    const { bed, lagging, healthy } = await held({ softPendingMs: 3_000 });
    trickle(bed, lagging, 10, 500);
    assertLess(dataOf(healthy).length, 200);
    while (bed.server.counters.messagesIn < 500) {
      lagging.take(KIB);
      bed.net.settle();
    }
    assertEquals(dataOf(healthy), upTo(500));
  });

  it("ends a reader that trickles while much waits, and lets its publisher go on", async () => {
    const { bed, lagging, healthy } = await held({ softPendingMs: 3_000 });
    trickle(bed, lagging, 10, 2_500);
    assertLess(dataOf(healthy).length, 200);
    trickle(bed, lagging, 10, 1_000);
    assertEquals(dataOf(healthy), upTo(500));
    assertEquals(bed.ended.map(({ reason }) => reason), ["slow_consumer"]);
  });

  it("lets a publisher go on when the reader that it waits for is gone", async () => {
    const { bed, lagging, healthy } = await held({});
    lagging.reset();
    bed.net.settle();
    assertEquals(dataOf(healthy), upTo(500));
  });

  it("doesn't call a publisher silent that it doesn't read from", async () => {
    const limits = { maxTotalPendingBytes: 400 * KIB, softPendingMs: 1e6, idleMs: 2_000 };
    const bed = await MemoryBed.start({ ...limits, pingAfterMs: 2_000 });
    const slow = bed.subscribed(["t"], { bufferBytes: KIB });
    slow.stall();
    const publisher = bed.dial();
    let sent = 0;
    for (; bed.server.counters.publisherPauses === 0; sent++) {
      flood(publisher, "t", sent, sent + 1, 2 * KIB);
      bed.net.settle();
    }
    bed.pass(10_000, () => {
      slow.send("PONG\0");
      slow.take(10);
    });
    slow.bufferBytes = 400 * KIB;
    slow.flow();
    // It is read from again, and has as long as ever to say something.
    bed.pass(1_500, () => slow.send("PONG\0"));
    assertEquals(framesOf(publisher), []);
    bed.pass(1_000, () => slow.send("PONG\0"));
    assertEquals(framesOf(publisher), ["PING"]);
    assertEquals(bed.ended, []);
    assertEquals(dataOf(slow), upTo(sent));
  });

  it("drops a reader that trickles for ever although it has ended its own side", async () => {
    const limits = { softPendingBytes: 64 * KIB, softPendingMs: 2_000 };
    const bed = await MemoryBed.start(limits);
    const trickling = bed.subscribed(["t"], { bufferBytes: KIB });
    trickling.stall();
    const publisher = bed.dial();
    flood(publisher, "t", 0, 100, 4 * KIB);
    bed.net.settle();
    trickling.end();
    bed.net.settle();
    assertEquals(bed.ended.map(({ reason }) => reason), ["client_closed"]);
    trickle(bed, trickling, 10, 4_000);
    assertEquals(bed.server.counters.connections, 1);
    assertEquals(bed.server.heldBytes, 0);
  });

  it("sends heartbeats in slices, so that messages pass between them", async () => {
    const bed = await MemoryBed.start({ pingAfterMs: 1_000 }, { writesPerTurn: 16 });
    const silent = upTo(1_000).map(() => bed.subscribed(["quiet"]));
    const lively = bed.subscribed(["t"]);
    const publisher = bed.dial();
    bed.pass(500, () => publisher.send("PONG\0"));
    lively.send("PONG\0");
    bed.pass(250);
    publisher.send("PONG\0");
    bed.net.settle();
    const writes = bed.net.watchWrites();
    bed.beginSweep();
    let got = 0;
    for (let turn = 0; !bed.net.isSettled; turn++) {
      if (turn < 30) flood(publisher, "t", turn, turn + 1, 10);
      bed.net.turn();
      if (turn >= 4 && turn < 30) assertGreater(dataOf(lively).length, got);
      got = Math.max(got, dataOf(lively).length - 4);
    }
    for (const peer of silent) assertEquals(framesOf(peer), ["ACK", "PING"]);
    assertEquals(dataOf(lively), upTo(30));
    const perTurn = new Map<number, number>();
    for (const { turn } of writes) perTurn.set(turn, (perTurn.get(turn) ?? 0) + 1);
    assertLessOrEqual(Math.max(...perTurn.values()), 18);
    assertGreater(perTurn.size, 60);
  });
});
