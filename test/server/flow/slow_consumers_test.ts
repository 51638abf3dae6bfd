import { assert, assertEquals, assertGreater, assertLess, assertMatch } from "@std/assert";
import { describe, it } from "node:test";
import { type JanusBed, withServer } from "../../support/clients/janus_bed.ts";
import { errorOf, type JanusClient, message, publish } from "../../support/clients/janus_client.ts";
import { until } from "../../support/until.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Far more than the kernels hold between a server and a client that doesn't read. */
const PLENTY = 16 * MIB;

function numberOf(frame: string): number {
  return Number(/"data":"(\d+) /.exec(frame)?.[1]);
}

/** Publishes numbered messages of that many bytes, and waits until they are accepted. */
async function flood(bed: JanusBed, topic: string, count: number, bytes: number): Promise<void> {
  const publisher = await bed.greeted();
  const padding = "p".repeat(bytes - message(topic, "12345 ").length);
  for (let i = 0; i < count; i++) {
    await publisher.sent(publish(message(topic, `${String(i).padEnd(5)} ${padding}`)));
  }
  await publisher.synced();
  await publisher.dispose();
}

/** The client got the first messages, whole and in order, and that many at most. */
function assertBeginning(frames: readonly string[], most: number): void {
  frames.forEach((frame, i) => assertEquals(numberOf(frame), i));
  assertLess(frames.length, most);
}

describe("slow consumers", () => {
  it("end when their queue passes its limit; the frames they get are whole", async () => {
    await withServer({ maxPendingBytes: MIB }, async (bed) => {
      const slow = await bed.subscribed("t");
      slow.pause();
      const flooding = flood(bed, "t", PLENTY / (32 * KIB), 32 * KIB);
      await bed.untilEnded("slow_consumer");
      // It has a moment to take what is there, while the flood goes on.
      slow.resume();
      const [{ reason, pendingBytes, detail, remoteAddress }] = bed.ended as [JanusBed["ended"][0]];
      assertEquals([reason, remoteAddress], ["slow_consumer", "127.0.0.1"]);
      assertGreater(pendingBytes, MIB);
      assertMatch(detail, /^\d+ bytes wait, 1048576 may$/);
      const { how, frames } = await slow.closed();
      await flooding;
      assertEquals(how, "fin");
      assertEquals(errorOf(frames.pop()), { code: "slow_consumer", message: detail });
      assertBeginning(frames, PLENTY / (32 * KIB));
      assertEquals(slow.partialFrame.length, 0);
      await until("its memory is free", () => bed.server.heldBytes === 0);
    });
  });

  it("end when more than the soft limit waits for longer than it may", async () => {
    const limits = { softPendingBytes: 64 * KIB, softPendingMs: 500, writeDeadlineMs: 60_000 };
    await withServer({ ...limits, maxPendingBytes: 64 * MIB }, async (bed) => {
      const slow = await bed.subscribed("t");
      slow.pause();
      const flooding = flood(bed, "t", PLENTY / (32 * KIB), 32 * KIB);
      await bed.untilEnded("slow_consumer");
      // It has a moment to take what is there, while the flood goes on.
      slow.resume();
      assertMatch(bed.ended.find(({ reason }) => reason === "slow_consumer")!.detail, /0\.5 s/);
      const { how, frames } = await slow.closed();
      await flooding;
      assertEquals(how, "fin");
      assertEquals(errorOf(frames.pop()).code, "slow_consumer");
      assertBeginning(frames, PLENTY / (32 * KIB));
    });
  });

  it("end when they take no byte within the write deadline, without a word", async () => {
    const limits = { writeDeadlineMs: 500, softPendingMs: 60_000 };
    await withServer({ ...limits, maxPendingBytes: 64 * MIB }, async (bed) => {
      const slow = await bed.subscribed("t");
      slow.pause();
      await flood(bed, "t", PLENTY / (32 * KIB), 32 * KIB);
      await bed.untilEnded("slow_consumer");
      assertMatch(bed.ended.find(({ reason }) => reason === "slow_consumer")!.detail, /0\.5 s/);
      await until("it is gone", () => bed.server.counters.connections === 0);
      slow.resume();
      const { frames } = await slow.closed();
      assertBeginning(frames, PLENTY / (32 * KIB));
      await until("its memory is free", () => bed.server.heldBytes === 0);
    });
  });

  it("that catch up in time miss nothing", async () => {
    const limits = { softPendingBytes: 256 * KIB, softPendingMs: 60_000, writeDeadlineMs: 60_000 };
    await withServer({ ...limits, maxPendingBytes: 64 * MIB }, async (bed) => {
      const slow = await bed.subscribed("t");
      slow.pause();
      const count = PLENTY / (32 * KIB);
      await flood(bed, "t", count, 32 * KIB);
      await until("something waits", () => bed.server.heldBytes > MIB);
      slow.resume();
      const frames = await slow.next(count);
      frames.forEach((frame, i) => assertEquals(numberOf(frame), i));
      await until("its memory is free", () => bed.server.heldBytes === 0);
      await slow.synced();
      assertEquals(slow.frames, []);
    });
  });

  for (const leave of ["end", "stay"] as const) {
    it(`lose nothing of a publisher that has to wait for them and then ${leave === "end" ? "ends" : "stays"}`, async () => {
      const limits = { softPendingBytes: 64 * KIB, softPendingMs: 60_000 };
      await withServer({ ...limits, maxPendingBytes: 64 * MIB }, async (bed) => {
        const slow = await bed.subscribed("t");
        slow.pause();
        let reading: ReturnType<typeof setInterval> | undefined;
        try {
          const publisher = await bed.greeted();
          const padding = "p".repeat(16 * KIB);
          const count = PLENTY / (16 * KIB);
          for (let i = 0; i < count; i++) {
            publisher.send(publish(message("t", `${String(i).padEnd(5)} ${padding}`)));
          }
          if (leave === "end") publisher.end();
          await until("the publisher waits", () => bed.server.counters.publisherPauses > 0);
          reading = setInterval(() => {
            slow.resume();
            setTimeout(() => slow.pause(), 2);
          }, 40);
          const frames = await slow.next(count);
          frames.forEach((frame, i) => assertEquals(numberOf(frame), i));
          if (leave === "end") assertEquals(await publisher.closed(), { how: "fin", frames: [] });
        } finally {
          clearInterval(reading);
        }
      });
    });
  }

  it("that never read cost those who do no message, and the server little memory", async () => {
    const limits = { maxPendingBytes: 4 * MIB, writeDeadlineMs: 2_000 };
    await withServer(limits, async (bed) => {
      const deaf: JanusClient[] = [];
      for (let i = 0; i < 50; i++) {
        const client = await bed.open({ deaf: true });
        client.send('{"action":"subscribe","data":"t"}\0');
        deaf.push(client);
      }
      const readers: JanusClient[] = [];
      for (let i = 0; i < 20; i++) readers.push(await bed.subscribed("t"));
      await until("all are subscribed", () => bed.server.counters.subscriptions === 70);
      let peakBytes = 0;
      const watching = setInterval(() => {
        peakBytes = Math.max(peakBytes, bed.server.heldBytes);
      }, 1);
      try {
        await flood(bed, "t", 1_200, 16 * KIB);
        for (const reader of readers) {
          const frames = await reader.next(1_200);
          frames.forEach((frame, i) => assertEquals(numberOf(frame), i));
        }
      } finally {
        clearInterval(watching);
      }
      await bed.untilEnded("slow_consumer", 50);
      assertEquals(bed.server.counters.ended.slow_consumer, 50);
      assert(readers.every(({ ended }) => ended === null));
      // Each buffer counts once however many of the 50 it waits for, plus what is joined for each.
      assertLess(peakBytes, 16 * MIB);
      await until("their memory is free", () => bed.server.heldBytes === 0);
    });
  });
});
