import { assert, assertEquals } from "@std/assert";
import * as fc from "fast-check";
import { describe, it } from "node:test";
import { AnswerDecoder } from "../../../server/cluster/link_answers.ts";
import { SWEEP_INTERVAL_MS } from "../../../server/limits/clients.ts";
import { RECEIPT_OVERHEAD_BYTES } from "../../../server/limits/costs.ts";
import { SMALL_FRAME_BYTES } from "../../../server/limits/memory.ts";
import {
  MAX_OWED_RECEIPTS,
  MAX_OWED_RECEIPTS_IN_NEED,
  OWED_RECEIPTS_SHARE,
} from "../../../server/limits/messages.ts";
import { RECEIPT_DEADLINE_MS } from "../../../server/limits/processes.ts";
import { HELLO, LinkEncoder } from "../../../server/cluster/link_frames.ts";
import { dataSegment, greeting, SegmentDecoder } from "../../../server/cluster/link_segments.ts";
import { join } from "../../support/bytes.ts";
import {
  bytesOf,
  message,
  publish,
  publishForReceipt,
  receiptOf,
  subscribe,
  unsubscribe,
} from "../../support/clients/janus_client.ts";
import { dataOf, framesOf, MemoryBed } from "../../support/memory/memory_bed.ts";
import { until } from "../../support/until.ts";
import { FakeWorker } from "./fake_worker.ts";

describe("a receipt of several processes", () => {
  it("is the sum of what became of the message in each", async () => {
    const beds = await MemoryBed.linked(3, { maxPendingBytes: 900, maxFrameBytes: 1_000 });
    const [first, second, third] = beds;
    for (const bed of [first, second, second, third, third, third]) bed.subscribed(["t"]);
    const waiting = [first, third].map((bed) => bed.subscribed(["t"], { bufferBytes: 900 }));
    const full = [second, third].map((bed) => bed.subscribed(["t"], { bufferBytes: 10 }));
    for (const reader of [...waiting, ...full]) reader.stall();
    const publisher = first.dial();
    publisher.send(publishForReceipt(message("t", "x".repeat(900))));
    await until("the receipt comes", () => {
      first.net.settle();
      return framesOf(publisher).length > 0;
    });
    const counts = { matched: 10, written: 6, queued: 2, evicted: 2 };
    assertEquals(framesOf(publisher).map(receiptOf), [counts]);
  });

  it("comes once, even without a subscriber in this process, or in any", async () => {
    const [first, second] = await MemoryBed.linked(2);
    second.subscribed(["there"]);
    const publisher = first.dial();
    for (const topic of ["there", "nowhere"]) {
      publisher.send(publishForReceipt(message(topic)));
    }
    first.net.settle();
    assertEquals(framesOf(publisher).map((frame) => receiptOf(frame).written), [1, 0]);
    assertEquals(first.server.counters.receipts, 2);
    assertEquals(second.server.counters.receipts, 0);
  });

  it("isn't asked for by an ordinary publish, and isn't told unasked", async () => {
    const [bed] = await MemoryBed.linked(1);
    const worker = await FakeWorker.linkedWith(bed);
    const publisher = bed.dial();
    publisher.send(publish(message("t")) + publishForReceipt(message("t")));
    bed.net.settle();
    assertEquals(worker.asked.length, 1);
    const asker = bed.net.dial({ transport: "unix", path: "/0" });
    const frames = new LinkEncoder();
    frames.appendControl(HELLO, 0, bytesOf("0123456789abcdef"));
    for (const [micros, wantsReceipt] of [[1, false], [2, true], [3, false]] as const) {
      frames.append("t", micros, bytesOf(message("t")), wantsReceipt);
    }
    asker.send(join([greeting(0, "/asker"), dataSegment(frames.take())]));
    bed.net.settle();
    const told: number[] = [];
    const answers = new AnswerDecoder();
    new SegmentDecoder().push(asker.received, {
      onGreeting() {},
      onAcknowledged() {},
      onBytes: (bytes) =>
        answers.push(bytes, {
          onReceipt: (micros) => told.push(micros),
          onHold() {},
          onLetGo() {},
        }),
    });
    assertEquals(told, [2]);
  });

  it("makes its publisher wait where too many are owed, and no other", async () => {
    const [bed] = await MemoryBed.linked(1);
    const worker = await FakeWorker.linkedWith(bed);
    const reader = bed.subscribed(["t"]);
    const [publisher, other] = [bed.dial(), bed.dial()];
    const count = 2 * MAX_OWED_RECEIPTS + 10;
    publisher.send(publishForReceipt(message("nobody")).repeat(count));
    bed.net.settle();
    assertEquals(bed.server.counters.messagesIn, MAX_OWED_RECEIPTS);
    other.send(publishForReceipt(message("t", "other")));
    bed.net.settle();
    assertEquals(dataOf(reader), ["other"]);
    // Half of them are enough to go on.
    for (const micros of worker.asked.slice(0, MAX_OWED_RECEIPTS / 2)) {
      worker.answer(bed.net, micros, 1);
    }
    assertEquals(bed.server.counters.messagesIn, 1.5 * MAX_OWED_RECEIPTS + 1);
    // What is never told ends the wait as well.
    bed.pass(2 * RECEIPT_DEADLINE_MS + 4 * SWEEP_INTERVAL_MS);
    assertEquals(bed.server.counters.messagesIn, count + 1);
    const sent = framesOf(publisher).map((frame) => receiptOf(frame).written);
    assertEquals(sent.slice(0, MAX_OWED_RECEIPTS / 2), Array(MAX_OWED_RECEIPTS / 2).fill(1));
    bed.pass(RECEIPT_DEADLINE_MS);
    assertEquals(framesOf(publisher).length, count);
    assertEquals([bed.ended, bed.server.heldBytes], [[], 0]);
  });

  it("is owed for a message too in the middle of which too many were owed", async () => {
    const maxTotalPendingBytes = 20 * RECEIPT_OVERHEAD_BYTES / OWED_RECEIPTS_SHARE;
    const [bed] = await MemoryBed.linked(1, { maxTotalPendingBytes });
    const worker = await FakeWorker.linkedWith(bed);
    const [publisher, other] = [bed.dial(), bed.dial()];
    const small = publishForReceipt(message("nobody"));
    const large = publishForReceipt(message("nobody", "x".repeat(2 * SMALL_FRAME_BYTES)));
    publisher.send(small.repeat(MAX_OWED_RECEIPTS_IN_NEED + 1) + large.slice(0, -100));
    bed.net.settle();
    other.send(small.repeat(10));
    bed.net.settle();
    publisher.send(large.slice(-100) + small);
    bed.net.settle();
    const inNeed = MAX_OWED_RECEIPTS_IN_NEED + 2;
    assertEquals(bed.server.counters.messagesIn, inNeed + 10);
    while (worker.asked.length > 0) worker.answer(bed.net, worker.asked.shift()!, 1);
    assertEquals(
      framesOf(publisher).map((frame) => receiptOf(frame).written),
      Array(inNeed + 1).fill(1),
    );
  });

  it("isn't owed to a publisher that is gone, whose messages count all the same", async () => {
    for (const how of ["end", "reset"] as const) {
      const [bed] = await MemoryBed.linked(1);
      await FakeWorker.linkedWith(bed);
      const publisher = bed.dial();
      const count = 1.5 * MAX_OWED_RECEIPTS;
      publisher.send(publishForReceipt(message("nobody")).repeat(count));
      publisher[how]();
      bed.net.settle();
      // A reset is heard at once, an end behind the receipts that it waits for.
      if (how === "end") bed.pass(RECEIPT_DEADLINE_MS + SWEEP_INTERVAL_MS);
      assertEquals(bed.server.counters.messagesIn, count, how);
      bed.pass(RECEIPT_DEADLINE_MS + SWEEP_INTERVAL_MS);
      assertEquals([bed.server.heldBytes, bed.server.counters.connections], [0, 0], how);
    }
  });

  it("waits for the last process, and keeps the order of the messages", async () => {
    const [bed] = await MemoryBed.linked(1);
    const workers = [
      await FakeWorker.linkedWith(bed, "/a"),
      await FakeWorker.linkedWith(bed, "/b"),
    ] as const;
    const publisher = bed.dial();
    publisher.send(publishForReceipt(message("t")).repeat(2));
    bed.net.settle();
    const [one, two] = workers[0].asked as [number, number];
    workers[0].answer(bed.net, two, 20);
    workers[1].answer(bed.net, two, 2);
    workers[0].answer(bed.net, one, 10);
    assertEquals(framesOf(publisher), []);
    workers[1].answer(bed.net, one, 1);
    assertEquals(framesOf(publisher).map((frame) => receiptOf(frame).written), [11, 22]);
  });

  it("takes answers however they are split", async () => {
    for (const pieceBytes of [1, 7, 23, 24]) {
      const [bed] = await MemoryBed.linked(1);
      const worker = await FakeWorker.linkedWith(bed);
      const publisher = bed.dial();
      publisher.send(publishForReceipt(message("t")).repeat(2));
      bed.net.settle();
      for (const [i, micros] of worker.asked.entries()) {
        worker.answer(bed.net, micros, i + 70_000, pieceBytes);
      }
      const written = framesOf(publisher).map((frame) => receiptOf(frame).written);
      assertEquals(written, [70_000, 70_001], `pieces of ${pieceBytes}`);
    }
  });

  for (const answers of ["at once", "late"] as const) {
    it(`never claims what didn't happen (writes end ${answers})`, async () => {
      const which = fc.nat(5);
      const step = fc.oneof(
        { weight: 4, arbitrary: fc.record({ publish: fc.nat(1) }) },
        { weight: 3, arbitrary: fc.record({ turns: fc.integer({ min: 1, max: 6 }) }) },
        { weight: 2, arbitrary: fc.record({ join: which }) },
        { weight: 2, arbitrary: fc.record({ leave: which }) },
        { weight: 1, arbitrary: fc.record({ end: which }) },
        { weight: 1, arbitrary: fc.record({ stall: which }) },
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 60, size: "max" }), async (steps) => {
          const beds = await MemoryBed.linked(2, {}, { answers, writesPerTurn: 2 });
          const { net } = beds[0]!;
          const peers = Array.from({ length: 6 }, (_, i) => beds[i % 2]!.subscribed(["t"]));
          const hasEnded = new Set<number>();
          const publishers = beds.map((bed) => bed.dial());
          const published: number[][] = [[], []];
          let next = 0;
          for (const step of steps) {
            if ("publish" in step) {
              publishers[step.publish]!.send(publishForReceipt(message("t", next)));
              published[step.publish]!.push(next++);
            } else if ("turns" in step) {
              for (let i = 0; i < step.turns; i++) net.turn();
            } else if ("join" in step) {
              if (!hasEnded.has(step.join)) peers[step.join]!.send(subscribe("t"));
            } else if ("leave" in step) {
              if (!hasEnded.has(step.leave)) peers[step.leave]!.send(unsubscribe("t"));
            } else if ("end" in step) {
              if (!hasEnded.has(step.end)) peers[step.end]!.end();
              hasEnded.add(step.end);
            } else peers[step.stall]!.stall();
          }
          net.settle();
          for (const peer of peers) peer.flow();
          net.settle();
          const received = peers.flatMap((peer) => dataOf(peer));
          for (const [p, publisher] of publishers.entries()) {
            const receipts = framesOf(publisher).map(receiptOf);
            assertEquals(receipts.length, published[p]!.length);
            for (const [i, { matched, written, queued, evicted }] of receipts.entries()) {
              const copies = received.filter((data) => data === published[p]![i]).length;
              assertEquals(written + queued + evicted, matched);
              assert(Math.min(written, queued, evicted) >= 0);
              assert(written <= copies && copies <= matched, `${written} of ${copies}`);
            }
          }
        }),
        { numRuns: 100 },
      );
    });
  }
});
