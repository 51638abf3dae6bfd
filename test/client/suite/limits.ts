import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Case, data, failure, find, QUICK, sleep, until } from "./case.ts";

/** What waits is bounded, and nothing is lost silently. */
export const LIMITS: readonly Case[] = [
  {
    name: "reads no more while a reader is slow, and loses nothing",
    async run({ bed, connect, url, door, topic }) {
      const server = await bed.start(["--history-bytes", "16777216", "--history-messages", "4000"]);
      const publisher = await connect(url(server));
      const hotwheels = await connect(url(server), { ...QUICK, buffer: 64 * 1024 });
      const statuses = hotwheels.statuses();
      const messages = hotwheels.subscribe(topic, { onGap: "throw" });
      await messages.ready;
      const padding = "x".repeat(16 * 1024);
      for (let i = 0; i < 600; i++) {
        await publisher.publish({ topic, data: i, padding }, { receipt: false });
        if (i % 50 === 0) await publisher.publish({ topic: "another" });
      }
      if (door === "ws") {
        const closed = await find(statuses, ({ state }) => state === "closed");
        assert(closed.state === "closed" && closed.retryInMs === undefined && !closed.isFinal);
        assertMatch(String(closed.why), /slow/);
        // Nothing costs the server anything meanwhile.
        await until("it is gone", async () => {
          return (await publisher.publish({ topic, data: "last" })).matched === 0;
        });
      } else {
        await until("the server has to wait", async () => {
          return (await publisher.publish({ topic, data: "more", padding })).queued === 1;
        });
      }
      const found: unknown[] = [];
      for await (const { message } of messages) {
        if (typeof message.data !== "number") break;
        found.push(message.data);
      }
      assertEquals(found, Array.from({ length: 600 }, (_, i) => i));
      await hotwheels.close();
      await publisher.close();
    },
  },
  {
    name: "goes on when it is read again, though the server has evicted it since it wasn't",
    door: "tcp",
    async run({ bed, connect, url, topic }) {
      const server = await bed.start([
        ...["--history-bytes", "33554432", "--history-messages", "4000"],
        ...["--write-deadline", "1s"],
      ]);
      const publisher = await connect(url(server));
      let hasNoticed = false;
      const hotwheels = await connect(url(server), {
        ...QUICK,
        buffer: 64 * 1024,
        onStatus: ({ state }) => hasNoticed ||= state === "closed",
      });
      const statuses = hotwheels.statuses();
      const messages = hotwheels.subscribe(topic, { onGap: "throw" });
      await messages.ready;
      const padding = "x".repeat(48 * 1024);
      let published = 0;
      await until("it is evicted", async () => {
        const { matched, queued } = await publisher.publish({ topic, data: published++ });
        // A client that hadn't its turn may make room once more, so one message that waits isn't enough.
        for (let i = 0; matched > queued && i < 10; i++) {
          await publisher.publish({ topic, data: published++, padding }, { receipt: false });
        }
        // Bun tells of the end even while the client doesn't read; it may be back before the next message.
        return matched === 0 || hasNoticed;
      });
      for (let i = 0; i < 10; i++) await publisher.publish({ topic, data: published++ });
      const expected = Array.from({ length: published }, (_, i) => i);
      assertEquals(await data(messages, published), expected);
      const closed = await find(statuses, ({ state }) => state === "closed");
      assert(closed.state === "closed" && !closed.isFinal);
      const back = await find(statuses, ({ state }) => state === "subscribed");
      assert(back.state === "subscribed" && back.recovered && !back.isGap, JSON.stringify(back));
      await hotwheels.close();
      await publisher.close();
    },
  },
  {
    name: "says of a publish that its outcome is unknown, and never sends it again",
    isScripted: true,
    async run({ bed, connect, url, door, topic }) {
      const port = await bed.script(door, { hangsUpOnPublish: true });
      const hotwheels = await connect(url(port), QUICK);
      const statuses = hotwheels.statuses();
      const unknown = await failure(hotwheels.publish({ topic, data: 1 }));
      assertEquals(unknown.name, "OutcomeUnknownError");
      const offline = await failure(hotwheels.publish({ topic, data: 2 }));
      assertEquals(offline.name, "OfflineError");
      await find(statuses, ({ state }) => state === "closed");
      await find(statuses, ({ state }) => state === "open");
      await sleep(50);
      const sent = (await bed.heard(port)).flat().filter((frame) => frame.includes("publish"));
      assertEquals(sent.length, 1);
      await hotwheels.close();
    },
  },
  {
    name: "lets messages wait for a connection if they may, up to a bound",
    async run({ bed, connect, url, door, topic }) {
      const server = await bed.plain();
      const proxy = await bed.proxy(server[door]);
      const hotwheels = await connect(url(proxy), { ...QUICK, publishBuffer: 1_000 });
      const reader = await connect(url(server));
      const messages = reader.subscribe(topic);
      await messages.ready;
      const statuses = hotwheels.statuses();
      await bed.disturb(proxy, "close");
      await find(statuses, ({ state }) => state === "closed");
      const wait = { offline: "wait" } as const;
      const receipts = [1, 2].map((each) => hotwheels.publish({ topic, data: each }, wait));
      const silent = hotwheels.publish({ topic, data: 3 }, { ...wait, receipt: false });
      const abort = new AbortController();
      // What has been given up takes no place.
      const most = { topic, data: "x".repeat(700) };
      const aborted = failure(hotwheels.publish(most, { ...wait, signal: abort.signal }));
      abort.abort();
      assertEquals((await aborted).name, "AbortError");
      const again = new AbortController();
      const fits = failure(hotwheels.publish(most, { ...wait, signal: again.signal }));
      again.abort();
      assertEquals((await fits).name, "AbortError");
      const padding = "x".repeat(1_000);
      const full = await failure(hotwheels.publish({ topic, data: padding }, wait));
      assertEquals(full.name, "BufferFullError");
      await bed.disturb(proxy, "open");
      for (const { matched } of await Promise.all(receipts)) assertEquals(matched, 1);
      assertEquals(await silent, undefined);
      assertEquals(await data(messages, 3), [1, 2, 3]);
      await hotwheels.close();
      await reader.close();
    },
  },
  {
    name: "publishes more than a socket takes at once, without losing any",
    async run({ bed, connect, url, topic }) {
      const server = await bed.plain();
      const hotwheels = await connect(url(server));
      const reader = await connect(url(server));
      const messages = reader.subscribe(topic);
      await messages.ready;
      const padding = "x".repeat(50_000);
      const receipts = Array.from({ length: 250 }, (_, i) => {
        return hotwheels.publish({ topic, data: i, padding });
      });
      const numbers = Array.from({ length: 250 }, (_, i) => i);
      assertEquals(await data(messages, 250), numbers);
      for (const { matched } of await Promise.all(receipts)) assertEquals(matched, 1);
      await hotwheels.close();
      await reader.close();
    },
  },
  {
    name: "refuses what can't be right at once, and is told what the server refuses",
    async run({ bed, connect, url, topic }) {
      const server = await bed.start(["--max-frame-bytes", "4096"]);
      const hotwheels = await connect(url(server), QUICK);
      for (const topic of ["", "x".repeat(257), 7 as unknown as string]) {
        assertEquals((await failure(hotwheels.publish({ topic }))).name, "RangeError");
      }
      const stamped = { topic, timestamp: 1 as never };
      assertEquals((await failure(hotwheels.publish(stamped))).name, "RangeError");
      for (const last of [0, 1.5, 1_001]) {
        const thrown = await failure(
          (async () => await hotwheels.subscribe(topic, { last }).next())(),
        );
        assertEquals(thrown.name, "RangeError");
      }
      const large = await failure(hotwheels.publish({ topic, data: "x".repeat(5_000) }));
      assertEquals(large.name, "ServerError");
      assertEquals((large as Error & { code?: string }).code, "frame_too_large");
      // It comes back all the same.
      await find(hotwheels.statuses(), ({ state }) => state === "open");
      assertEquals((await hotwheels.publish({ topic })).matched, 0);
      await hotwheels.close();
    },
  },
  {
    name: "ends by a signal whatever waits",
    isScripted: true,
    async run({ bed, connect, url, door, topic }) {
      const port = await bed.script(door, { withholdsReceipts: true });
      const abort = new AbortController();
      const hotwheels = await connect(url(port), { ...QUICK, signal: abort.signal });
      const own = new AbortController();
      const messages = hotwheels.subscribe(topic, { signal: own.signal });
      const others = hotwheels.subscribe(topic);
      const next = failure(messages.next());
      own.abort();
      assertEquals((await next).name, "AbortError");
      const waiting = failure(others.next());
      const receipt = failure(hotwheels.publish({ topic }));
      await sleep(20);
      abort.abort();
      assertEquals((await waiting).name, "AbortError");
      assertEquals((await receipt).name, "OutcomeUnknownError");
      assertEquals((await failure(hotwheels.publish({ topic }))).name, "AbortError");
      for await (const status of hotwheels.statuses()) assertEquals(status.state, "closed");
    },
  },
  {
    name: "closes behind the receipts of what was published",
    async run({ bed, connect, url, topic }) {
      const hotwheels = await connect(url(await bed.plain()));
      const receipts = Array.from({ length: 50 }, (_, i) => {
        return hotwheels.publish({ topic, data: i });
      });
      await hotwheels.close();
      assertEquals((await Promise.all(receipts)).length, 50);
      assertEquals((await failure(hotwheels.publish({ topic }))).name, "ClosedError");
      assertEquals((await failure(hotwheels.subscribe(topic).next())).name, "ClosedError");
      await hotwheels.close();
    },
  },
];
