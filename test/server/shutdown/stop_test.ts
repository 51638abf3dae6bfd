import { assertEquals, assertGreater, assertRejects } from "@std/assert";
import { describe, it } from "node:test";
import { serve } from "../../../server/serve.ts";
import { withServer } from "../../support/clients/janus_bed.ts";
import {
  delivered,
  errorOf,
  GREETING,
  JanusClient,
  message,
  publish,
  subscribe,
  unstamp,
} from "../../support/clients/janus_client.ts";
import { until } from "../../support/until.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Takes the client's last frame, which must be `server_shutdown`, and returns the others. */
async function shutDown(client: JanusClient): Promise<string[]> {
  const { how, frames } = await client.closed();
  assertEquals(how, "fin");
  assertEquals(errorOf(frames.pop()).code, "server_shutdown");
  assertEquals(client.partialFrame.length, 0);
  return frames;
}

describe("a graceful stop", () => {
  it("tells every client server_shutdown and closes", async () => {
    await withServer({}, async (bed) => {
      const clients = [await bed.subscribed("t"), await bed.greeted()];
      const partial = await bed.greeted();
      await partial.sent('PUBLISH\0{"topic":"t","da');
      const silent = await bed.open();
      const stopped = bed.server.stop();
      for (const client of [...clients, partial]) assertEquals(await shutDown(client), []);
      const frames = await shutDown(silent);
      assertEquals(frames.length, 1);
      assertEquals(GREETING.test(frames[0]!), true);
      await stopped;
      assertEquals(bed.server.counters.connections, 0);
      assertEquals(bed.ended.map(({ reason }) => reason), Array(4).fill("server_shutdown"));
    });
  });

  it("tells all that are left, in whatever order others came and went", async () => {
    await withServer({}, async (bed) => {
      let clients: JanusClient[] = [];
      for (let round = 0; round < 4; round++) {
        for (let i = 0; i < 12; i++) clients.push(await bed.greeted());
        const leaving = clients.filter((_, i) => i % 3 !== round % 3);
        clients = clients.filter((_, i) => i % 3 === round % 3);
        for (const client of leaving) {
          client.end();
          await client.closed();
        }
        await until(
          "they have gone",
          () => bed.server.counters.connections === clients.length,
        );
      }
      const stopped = bed.server.stop();
      for (const client of clients) assertEquals(await shutDown(client), []);
      await stopped;
      assertEquals(bed.server.counters.ended.server_shutdown, clients.length);
    });
  });

  it("accepts and delivers what had arrived, to everyone, before it says so", async () => {
    await withServer({}, async (bed) => {
      const subscribers: JanusClient[] = [];
      for (let i = 0; i < 30; i++) subscribers.push(await bed.subscribed("t"));
      const publishers = await Promise.all(Array.from({ length: 20 }, () => bed.greeted()));
      await Promise.all(publishers.map((publisher, p) => {
        let burst = "";
        for (let i = 0; i < 50; i++) burst += publish(message("t", `${p}:${i}`));
        return publisher.sent(burst);
      }));
      const legacy = await bed.greeted();
      await legacy.sent(`PUBLISH\0${message("t", "legacy")}`);
      const stopped = bed.server.stop();
      const [first, ...others] = await Promise.all(subscribers.map(shutDown));
      assertEquals(first!.length, 1001);
      for (const other of others) assertEquals(other, first);
      const data = first!.map((frame) => (JSON.parse(frame) as { data: string }).data);
      for (let p = 0; p < 20; p++) {
        const own = data.filter((text) => text.startsWith(`${p}:`));
        assertEquals(own, Array.from({ length: 50 }, (_, i) => `${p}:${i}`));
      }
      for (const publisher of publishers) assertEquals(await shutDown(publisher), []);
      await stopped;
    });
  });

  it("sends what is queued first, also to who reads late", async () => {
    const limits = { maxPendingBytes: 64 * MIB, softPendingBytes: 64 * MIB };
    await withServer(limits, async (bed) => {
      const slow = await bed.subscribed("t");
      slow.pause();
      const publisher = await bed.greeted();
      const padding = "q".repeat(32 * KIB);
      for (let i = 0; i < 400; i++) await publisher.sent(publish(message("t", `${i} ${padding}`)));
      await publisher.synced();
      await until("much waits", () => bed.server.heldBytes > MIB);
      const stopped = bed.server.stop();
      await bed.untilEnded("server_shutdown", 2);
      slow.resume();
      const frames = await shutDown(slow);
      assertEquals(
        frames.map((frame) => Number(/"data":"(\d+)/.exec(frame)![1])),
        Array.from({ length: 400 }, (_, i) => i),
      );
      await stopped;
    });
  });

  it("accepts no more connections, whatever the others do", async () => {
    await withServer({}, async (bed) => {
      const client = await bed.subscribed("t");
      const stopped = bed.server.stop();
      await shutDown(client);
      const late = bed.begin();
      assertEquals(await late.closed(), { how: "reset", frames: [] });
      await stopped;
    });
  });

  it("ends although clients send on and on, and delivers what it accepted of it", async () => {
    await withServer({}, async (bed) => {
      const subscribers: JanusClient[] = [];
      for (let i = 0; i < 5; i++) subscribers.push(await bed.subscribed("t"));
      const publisher = await bed.greeted();
      let sent = 0;
      const storm = setInterval(() => {
        for (let i = 0; i < 20; i++) publisher.send(publish(message("t", sent++)));
      }, 5);
      try {
        await until("it rages", () => bed.server.counters.messagesIn > 100);
        const stopped = bed.server.stop();
        const [first, ...others] = await Promise.all(subscribers.map(shutDown));
        assertEquals(first!.length, bed.server.counters.messagesIn);
        assertEquals(
          first!.map((frame) => unstamp(frame).rest),
          first!.map((_, i) => delivered(message("t", i))),
        );
        for (const other of others) assertEquals(other, first);
        assertGreater(first!.length, 100);
        await stopped;
      } finally {
        clearInterval(storm);
      }
    });
  });

  it("isn't held up for long by who doesn't close its side", async () => {
    await withServer({}, async (bed) => {
      const staying = await bed.greeted({ lingers: true });
      const stopped = bed.server.stop();
      await shutDown(staying);
      await stopped;
      assertEquals(bed.server.counters.connections, 0);
    });
  });

  it("isn't held up for long by who reads nothing, and serves the others meanwhile", async () => {
    await withServer({ writeDeadlineMs: 1_000 }, async (bed) => {
      const deaf = await bed.open({ deaf: true });
      deaf.send(subscribe("t"));
      await until("it is subscribed", () => bed.server.counters.subscriptions === 1);
      const reader = await bed.subscribed("t");
      const publisher = await bed.greeted();
      const padding = "r".repeat(32 * KIB);
      for (let i = 0; i < 300; i++) await publisher.sent(publish(message("t", `${i} ${padding}`)));
      await publisher.synced();
      const stopped = bed.server.stop();
      const frames = await shutDown(reader);
      assertEquals(frames.length, 300);
      await stopped;
      assertEquals(bed.server.counters.connections, 0);
      assertEquals(bed.server.heldBytes, 0);
    });
  });

  it("may be asked for more than once, and happens once", async () => {
    const server = await serve({ hostname: "127.0.0.1", port: 0 });
    const { address } = server;
    if (address.transport !== "tcp") throw new TypeError();
    const client = await JanusClient.greeted(address);
    const first = server.close();
    await Promise.all([first, server.close(), shutDown(client)]);
    await server.close();
    await client.dispose();
    assertEquals(server.counters.ended.server_shutdown, 1);
    await assertRejects(() => JanusClient.greeted(address));
  });
});
