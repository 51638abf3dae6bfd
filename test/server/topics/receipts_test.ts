import { assertEquals, assertGreater, assertLess } from "@std/assert";
import * as fc from "fast-check";
import { describe, it } from "node:test";
import { withServer } from "../../support/clients/janus_bed.ts";
import {
  delivered,
  errorOf,
  message,
  publish,
  publishForReceipt,
  receiptOf,
  subscribe,
  unstamp,
  unsubscribe,
} from "../../support/clients/janus_client.ts";
import { dataOf, framesOf, MemoryBed } from "../../support/memory/memory_bed.ts";
import { until } from "../../support/until.ts";

describe("a receipt", () => {
  it("says how many the message was for, with the message's timestamp", async () => {
    await withServer({}, async (bed) => {
      const readers = await Promise.all(Array.from({ length: 20 }, () => bed.subscribed("t")));
      const publisher = await bed.greeted();
      const spelled = '{"data" : 1.00,"topic":"\\u0074" , "z":[{}]}';
      publisher.send(publishForReceipt(` ${spelled} `));
      const { micros, rest } = unstamp(await publisher.frame());
      const { matched, written, queued, evicted } = receiptOf(`{"timestamp":0,${rest.slice(16)}`);
      assertEquals([matched, written + queued, evicted], [20, 20, 0]);
      for (const reader of readers) {
        const frame = await reader.frame();
        assertEquals(unstamp(frame), { micros, rest: delivered(spelled) });
      }
      // Once they have taken it, nothing of the next one waits for long either.
      await until("all is written", () => {
        publisher.send(publishForReceipt(message("t")));
        return publisher.frames.some((frame) => receiptOf(frame).written === 20);
      });
      assertGreater(bed.server.counters.receipts, 1);
    });
  });

  it("comes for a message without subscribers, and only to its publisher", async () => {
    await withServer({}, async (bed) => {
      const publisher = await bed.greeted();
      publisher.send(publish(message("t")) + publishForReceipt(message("t")) + subscribe("x"));
      const none = { matched: 0, written: 0, queued: 0, evicted: 0 };
      assertEquals(receiptOf(await publisher.frame()), none);
      assertEquals(await publisher.frame(), "ACK");
    });
  });

  it("comes in the order of the messages, whatever their topics", async () => {
    await withServer({}, async (bed) => {
      await Promise.all(Array.from({ length: 100 }, () => bed.subscribed("many")));
      await bed.subscribed("one");
      const publisher = await bed.greeted();
      const topics = ["many", "none", "one", "many", "one", "none"];
      publisher.send(topics.map((topic) => publishForReceipt(message(topic))).join(""));
      const frames = await publisher.next(topics.length);
      assertEquals(frames.map((frame) => receiptOf(frame).matched), [100, 0, 1, 100, 1, 0]);
      const times = frames.map((frame) => unstamp(frame).micros);
      assertEquals(times, times.toSorted((a, b) => a - b));
    });
  });

  it("isn't for a message that is refused: the rules are those of any MESSAGE", async () => {
    await withServer({}, async (bed) => {
      const reader = await bed.subscribed("t");
      for (
        const [frame, code] of [
          ['{"action":"publish"}', "bad_frame"],
          ['{"action":"publish","data":{"topic":"t"}', "bad_frame"],
          ['{"action":"publish","data":"t"}', "bad_message"],
          ['{"action":"publish","data":[{"topic":"t"}]}', "bad_message"],
          ['{"action":"publish","data":{}}', "bad_message"],
          ['{"action":"publish","data":{"topic":""}}', "bad_message"],
          ['{"action":"publish","data":{"topic":"t","timestamp":1}}', "bad_message"],
        ]
      ) {
        const publisher = await bed.greeted();
        publisher.send(`${frame}\0`);
        assertEquals(errorOf((await publisher.closed()).frames[0]).code, code, frame);
      }
      await reader.synced();
      assertEquals(reader.frames, []);
    });
    await withServer({}, async (bed) => {
      const publisher = await bed.greeted();
      publisher.send(publishForReceipt(message("t")));
      assertEquals(errorOf((await publisher.closed()).frames[0]).code, "forbidden");
    }, { publishKeys: ["key"] });
  });

  it("makes a publisher wait that doesn't take its receipts, and no other", async () => {
    const bed = await MemoryBed.start();
    const reader = bed.subscribed(["t"]);
    const count = 5_000;
    const publisher = bed.subscribed([], { bufferBytes: 1_000 });
    publisher.stall();
    publisher.send(publishForReceipt(message("nobody")).repeat(count));
    bed.net.settle();
    assertGreater(bed.server.counters.messagesIn, 300);
    assertLess(bed.server.counters.messagesIn, 1_000);
    bed.dial().send(publish(message("t", "another")));
    bed.net.settle();
    assertEquals(dataOf(reader), ["another"]);
    publisher.flow();
    bed.net.settle();
    assertEquals(framesOf(publisher).length, count);
    assertEquals(bed.ended, []);
  });

  it("tells those who wait for the message from those who have it", async () => {
    const bed = await MemoryBed.start();
    const readers = Array.from({ length: 3 }, () => bed.subscribed(["t"]));
    const stalled = bed.subscribed(["t"], { bufferBytes: 10 });
    stalled.stall();
    const publisher = bed.dial();
    publisher.send(publishForReceipt(message("t")));
    bed.net.settle();
    const counts = { matched: 4, written: 3, queued: 1, evicted: 0 };
    assertEquals(receiptOf(framesOf(publisher)[0]!), counts);
    assertEquals(readers.map((reader) => framesOf(reader).length), [2, 2, 2]);
  });

  it("never counts who was dropped, or came later, as one who was reached", async () => {
    const bed = await MemoryBed.start({ maxPendingBytes: 900, maxFrameBytes: 1_000 }, {
      writesPerTurn: 1,
    });
    const readers = Array.from({ length: 10 }, () => bed.subscribed(["t"]));
    const full = bed.subscribed(["t"], { bufferBytes: 10 });
    full.stall();
    const publisher = bed.dial();
    publisher.send(publishForReceipt(message("t", "x".repeat(900))).repeat(4));
    bed.net.turn();
    bed.net.turn();
    readers[8]!.reset();
    readers[9]!.send(unsubscribe("t"));
    bed.net.turn();
    const late = bed.dial();
    late.send(subscribe("t"));
    bed.net.settle();
    for (const frame of framesOf(publisher)) {
      assertEquals(receiptOf(frame), { matched: 11, written: 9, queued: 0, evicted: 2 });
    }
    assertEquals(framesOf(publisher).length, 4);
    assertEquals(framesOf(late), ["ACK"]);
  });

  it("comes although the last subscriber leaves right behind the message", async () => {
    await withServer({}, async (bed) => {
      const only = await bed.subscribed("t");
      only.send(publishForReceipt(message("t")) + unsubscribe("t"));
      assertEquals(unstamp(await only.frame()).rest, delivered(message("t")));
      const { matched, written, queued, evicted } = receiptOf(await only.frame());
      assertEquals([matched, written + queued, evicted], [1, 1, 0]);
    });
  });

  it("counts no subscriber twice that leaves during the count", async () => {
    const bed = await MemoryBed.start({}, { writesPerTurn: 1 });
    const readers = Array.from({ length: 150 }, () => bed.subscribed(["t"]));
    const publisher = bed.dial();
    publisher.send(publishForReceipt(message("t")));
    while (framesOf(readers.at(-1)!).length < 2) bed.net.turn();
    // 64 are looked at in a turn. One of them leaves, and one who is still to come.
    bed.net.turn();
    readers[0]!.send(unsubscribe("t"));
    readers[149]!.send(unsubscribe("t"));
    bed.net.settle();
    assertEquals(framesOf(publisher).map(receiptOf), [
      { matched: 150, written: 150, queued: 0, evicted: 0 },
    ]);
  });

  for (const answers of ["at once", "late"] as const) {
    it(`adds up while subscribers come and go (writes end ${answers})`, async () => {
      const which = fc.nat(5);
      const step = fc.oneof(
        { weight: 4, arbitrary: fc.record({ publish: fc.integer({ min: 1, max: 300 }) }) },
        { weight: 3, arbitrary: fc.record({ turns: fc.integer({ min: 1, max: 4 }) }) },
        { weight: 2, arbitrary: fc.record({ join: which }) },
        { weight: 2, arbitrary: fc.record({ leave: which }) },
        { weight: 1, arbitrary: fc.record({ end: which }) },
        { weight: 1, arbitrary: fc.record({ stall: which }) },
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 60, size: "max" }), async (steps) => {
          const bed = await MemoryBed.start({}, { answers, writesPerTurn: 2 });
          const peers = Array.from({ length: 6 }, () => bed.subscribed(["t"]));
          const isIn = peers.map(() => true);
          const hasEnded = peers.map(() => false);
          const publisher = bed.dial();
          const matched: number[] = [];
          for (const step of steps) {
            if ("publish" in step) {
              publisher.send(publishForReceipt(message("t", "x".repeat(step.publish))));
              bed.net.turn();
              matched.push(isIn.filter(Boolean).length);
            } else if ("turns" in step) {
              for (let i = 0; i < step.turns; i++) bed.net.turn();
            } else if ("join" in step) {
              if (hasEnded[step.join]) continue;
              peers[step.join]!.send(subscribe("t"));
              bed.net.turn();
              isIn[step.join] = true;
            } else if ("leave" in step) {
              if (hasEnded[step.leave]) continue;
              peers[step.leave]!.send(unsubscribe("t"));
              bed.net.turn();
              isIn[step.leave] = false;
            } else if ("end" in step) {
              if (hasEnded[step.end]) continue;
              peers[step.end]!.end();
              bed.net.turn();
              isIn[step.end] = false;
              hasEnded[step.end] = true;
            } else peers[step.stall]!.stall();
          }
          bed.net.settle();
          const receipts = framesOf(publisher).map(receiptOf);
          assertEquals(receipts.map(({ matched }) => matched), matched);
          for (const { matched, written, queued, evicted } of receipts) {
            assertEquals(written + queued + evicted, matched);
            assertEquals(Math.min(written, queued, evicted) >= 0, true);
          }
        }),
        { numRuns: 100 },
      );
    });
  }
});
