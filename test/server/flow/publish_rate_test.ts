import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import { withServer } from "../../support/clients/janus_bed.ts";
import {
  errorOf,
  type JanusClient,
  message,
  publish,
  subscribe,
} from "../../support/clients/janus_client.ts";
import { MemoryBed } from "../../support/memory/memory_bed.ts";
import { until } from "../../support/until.ts";

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** Numbered messages, pipelined. */
function flood(topic: string, count: number): string {
  return upTo(count).map((i) => publish(message(topic, i))).join("");
}

function numbersOf(client: JanusClient): number[] {
  return client.frames.filter((frame) => frame.includes('"data"')).map((frame) =>
    (JSON.parse(frame) as { data: number }).data
  );
}

describe("the publish rate", () => {
  it("slows a flood, loses none of it, and delays no other client's message", async () => {
    await withServer({ publishRate: 500 }, async (bed) => {
      const reader = await bed.subscribed("t");
      const flooder = await bed.greeted();
      const count = 3_000;
      flooder.send(flood("t", count));
      await until("the flood is slowed", () => bed.server.counters.ratePauses > 0);
      assertEquals(bed.throttled, ["127.0.0.1 at 500"]);
      const other = await bed.greeted();
      other.send(publish(message("t", count)));
      await until("all has come", () => reader.frames.length === count + 1);
      const numbers = numbersOf(reader);
      assertLess(numbers.indexOf(count), count / 2);
      assertEquals(numbers.filter((number) => number < count), upTo(count));
      assertEquals(bed.throttled, ["127.0.0.1 at 500"]);
      assertEquals(bed.ended, []);
    });
  });

  it("doesn't take the time in which it reads nothing for silence", async () => {
    const limits = { publishRate: 10, pingAfterMs: 300, idleMs: 300 };
    await withServer(limits, async (bed) => {
      const publisher = await bed.greeted();
      publisher.send(flood("t", 30));
      await until("it is slowed", () => bed.server.counters.ratePauses > 0);
      publisher.send(subscribe("t"));
      // Two seconds' worth too many.
      assertEquals(await publisher.frame(), "ACK");
      assertEquals(bed.ended, []);
    });
  });

  it("by default leaves a burst of many thousands alone", async () => {
    await withServer({}, async (bed) => {
      const reader = await bed.subscribed("t");
      const publisher = await bed.greeted();
      publisher.send(flood("t", 20_000));
      await until("all has come", () => reader.frames.length === 20_000);
      assertEquals(bed.server.counters.ratePauses, 0);
    });
  });

  for (const leave of ["end", "reset"] as const) {
    it(`costs a publisher nothing that was read before it left by ${leave}`, async () => {
      await withServer({ publishRate: 200 }, async (bed) => {
        const reader = await bed.subscribed("t");
        const publisher = await bed.greeted();
        const bytes = flood("t", 400);
        await publisher.sent(bytes);
        await until("it is slowed", () => bed.server.counters.bytesIn >= bytes.length);
        publisher[leave]();
        await until("all has come", () => reader.frames.length === 400);
        assertEquals(numbersOf(reader), upTo(400));
      });
    });
  }

  it("is lifted by a stop, which reads what has arrived", async () => {
    await withServer({ publishRate: 100 }, async (bed) => {
      const reader = await bed.subscribed("t");
      const publisher = await bed.greeted();
      await publisher.sent(flood("t", 2_000));
      await until("it is slowed", () => bed.server.counters.ratePauses > 0);
      const stopped = bed.server.stop();
      const { frames } = await reader.closed();
      assertEquals(errorOf(frames.pop()).code, "server_shutdown");
      assertEquals(
        frames.map((frame) => (JSON.parse(frame) as { data: number }).data),
        upTo(2_000),
      );
      await stopped;
    });
  });

  it("holds over any time, however much comes in one segment", async () => {
    const bed = await MemoryBed.start({ publishRate: 100 }, { bufferBytes: 1024 * 1024 });
    const publisher = bed.dial();
    publisher.send(publish('{"topic":"t"}').repeat(20_000));
    bed.net.settle();
    const { counters } = bed.server;
    /** A piece of 4 KiB is read whole. */
    const slack = 4096 / 22;
    assertGreater(counters.messagesIn, 99);
    assertLess(counters.messagesIn, 100 + slack);
    for (let second = 1; second <= 20; second++) {
      bed.pass(1_000);
      assertGreater(counters.messagesIn, 100 * second - 1);
      assertLess(counters.messagesIn, 100 + 100 * second + slack);
    }
    // What has arrived and waits is held against the budget.
    assertGreater(bed.server.heldBytes, 0);
  });
});
