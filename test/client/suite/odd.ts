import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import type { Receipt } from "../../../client/exports.ts";
import { type Case, data, failure, find, QUICK, take } from "./case.ts";

/** A message as a program may declare it. */
interface Measured {
  readonly topic: string;
  readonly data: number;
}

/** What programs do seldom, or by mistake. */
export const ODD: readonly Case[] = [
  {
    name: "ends the iterator of a subscribe that the server refuses, and no other",
    async run({ bed, connect, url, topic }) {
      const server = await bed.start(["--max-topics", "2", "--max-topic-bytes", "60"]);
      const hotwheels = await connect(url(server), QUICK);
      const all = [topic, "second", "third"].map((each) => hotwheels.subscribe(each));
      const refused = await failure(all[2]!.next());
      assertEquals(refused.name, "ServerError");
      assertMatch(refused.message, /^too_many_topics: /);
      assertEquals((await all[2]!.next()).done, true);
      const statuses = hotwheels.statuses();
      await find(statuses, (one) => one.state === "subscribed" && one.topic === "second");
      await all[1]!.return!();
      const long = await failure(hotwheels.subscribe("x".repeat(61)).ready);
      assertEquals(long.name, "ServerError");
      assertMatch(long.message, /60 bytes/);
      const other = hotwheels.subscribe("third");
      await other.ready;
      for (const each of [topic, "third"]) await hotwheels.publish({ topic: each, data: each });
      assertEquals(await data(all[0]!, 1), [topic]);
      assertEquals(await data(other, 1), ["third"]);
      await hotwheels.close();
    },
  },
  {
    name: "is told for good that a key is none",
    async run({ bed, connect, url }) {
      const server = url(await bed.plain());
      const error = await failure(connect(server, { ...QUICK, key: "x".repeat(70_000) }));
      assertEquals(error.name, "ForbiddenError");
      assertMatch(error.message, /the option key/);
    },
  },
  {
    name: "takes null for no option, and says of what can't be one that it can't",
    async run({ bed, connect, url, topic }) {
      const server = url(await bed.plain());
      const names = ["key", "signal", "ca", "buffer", "timeout", "retry", "onStatus", "WebSocket"];
      const nothing = Object.fromEntries(names.map((name) => [name, null]));
      const hotwheels = await connect(server, nothing as never);
      await (await connect(server, null as never)).close();
      const none = {
        last: null,
        onGap: null,
        signal: null,
        receipt: null,
        offline: null,
      } as object;
      const messages = hotwheels.subscribe(topic, none);
      assertEquals((await messages.ready).reason, "new");
      const { matched }: Receipt = await hotwheels.publish({ topic, data: 1 }, none);
      assertEquals(matched, 1);
      await hotwheels.publish({ topic, data: 2 }, null as never);
      await hotwheels.subscribe(topic, null as never).return!();
      assertEquals(await data(messages, 2), [1, 2]);
      const wrong = { key: [5, ["a", 5]], retry: [5, false], onStatus: [5, {}], signal: [5, {}] };
      for (const [name, values] of Object.entries(wrong)) {
        for (const value of values) {
          const error = await failure(connect(server, { ...QUICK, [name]: value } as never));
          assertEquals(error.name, "RangeError");
          assertMatch(error.message, new RegExp(`option ${name} must be`));
        }
      }
      const signal = 5 as never;
      assertMatch((await failure(hotwheels.publish({ topic }, { signal }))).message, /AbortSignal/);
      assertThrows(() => hotwheels.subscribe(topic, { signal }), RangeError, "AbortSignal");
      await hotwheels.close();
    },
  },
  {
    name: "sends no message whose JSON is none, and those that have an interface or a class",
    async run({ bed, connect, url, topic }) {
      const hotwheels = await connect(url(await bed.plain()));
      const statuses = hotwheels.statuses();
      const messages = hotwheels.subscribe(topic);
      await messages.ready;
      class Derived {
        get topic(): string {
          return topic;
        }
      }
      class Spelled extends Derived {
        toJSON(): unknown {
          return { topic: this.topic, data: "spelled" };
        }
      }
      const none: unknown[] = [null, undefined, 5, [], Object.assign([], { topic }), new Derived()];
      for (const json of [5, undefined, null, {}, "{}"]) none.push({ topic, toJSON: () => json });
      for (const one of none) {
        assertEquals((await failure(hotwheels.publish(one as never))).name, "RangeError");
      }
      const measured: Measured = { topic, data: 1 };
      await hotwheels.publish(measured);
      await hotwheels.publish(new Spelled());
      assertEquals(await data(messages, 2), [1, "spelled"]);
      await hotwheels.close();
      const states = [];
      for await (const { state } of statuses) states.push(state);
      // It has never been closed for one of them.
      assertEquals(states, ["open", "subscribed", "closed"]);
    },
  },
  {
    name: "waits for ever where it is told to",
    async run({ bed, connect, url, topic }) {
      const server = await bed.plain();
      const endless = { timeout: Infinity, pingAfter: Infinity };
      const hotwheels = await connect(url(server), { ...endless, buffer: 1_000 });
      const statuses = hotwheels.statuses();
      const messages = hotwheels.subscribe(topic, { onGap: "throw" });
      await messages.ready;
      const padding = "x".repeat(600);
      const publisher = await connect(url(server), { ...endless, retry: { maxMs: Infinity } });
      // It reads no more meanwhile.
      for (let i = 0; i < 5; i++) await publisher.publish({ topic, data: i, padding });
      assertEquals(await data(messages, 5), [0, 1, 2, 3, 4]);
      await publisher.close();
      await hotwheels.close();
      for await (const status of statuses) {
        if (status.state !== "closed") continue;
        assertMatch(String(status.why), /undefined|slow/);
      }
    },
  },
  {
    name: "takes topics of any characters",
    async run({ bed, connect, url }) {
      const hotwheels = await connect(url(await bed.plain()));
      const topics = ["\ufeff", "\ufeff{", "😀", "__proto__", "toString", "\0", "\x01\n", '"\\'];
      topics.push("x".repeat(256), "ü".repeat(128));
      for (const topic of topics) {
        const messages = hotwheels.subscribe(topic);
        const [{ message }] = await Promise.all([
          messages.next().then(({ value }) => value),
          hotwheels.publish({ topic, data: topic }),
        ]);
        assertEquals(message, { topic, data: topic });
        await messages.return!();
      }
      await hotwheels.close();
    },
  },
  {
    name: "carries a message of 1 MiB",
    async run({ bed, connect, url, topic }) {
      const hotwheels = await connect(url(await bed.start(["--max-frame-bytes", "2000000"])));
      const messages = hotwheels.subscribe(topic);
      await messages.ready;
      const large = "0123456789abcdef".repeat(65_536);
      const taken = take(messages, 2);
      const { matched } = await hotwheels.publish({ topic, data: large });
      assertEquals(matched, 1);
      await hotwheels.publish({ topic, data: large }, { receipt: false });
      for (const { message } of await taken) {
        if (message.data !== large) throw new Error("it isn't the same");
      }
      await hotwheels.close();
    },
  },
  {
    name: "lets several loops read one iterator, and each message one of them",
    async run({ bed, connect, url, topic }) {
      const hotwheels = await connect(url(await bed.plain()));
      const messages = hotwheels.subscribe(topic);
      const found: unknown[] = [];
      const loops = [1, 2, 3].map(async () => {
        for await (const { message } of { [Symbol.asyncIterator]: () => messages }) {
          found.push(message.data);
          if (found.length === 10) break;
        }
      });
      for (let i = 0; i < 10; i++) await hotwheels.publish({ topic, data: i });
      await Promise.all(loops);
      assertEquals(found, Array.from({ length: 10 }, (_, i) => i));
      const closes = [hotwheels.close(), hotwheels.close()];
      assertEquals((await failure(hotwheels.publish({ topic }))).name, "ClosedError");
      await Promise.all(closes);
      assertEquals((await failure(hotwheels.subscribe(topic).ready)).name, "ClosedError");
    },
  },
  {
    name: "is answered though a reader is far behind, which may wait for that itself",
    async run({ bed, connect, url, topic }) {
      const server = await bed.plain();
      const publisher = await connect(url(server));
      const hotwheels = await connect(url(server), { ...QUICK, buffer: 16 * 1024 });
      const messages = hotwheels.subscribe(topic, { onGap: "throw" });
      await messages.ready;
      const padding = "x".repeat(4 * 1024);
      for (let i = 0; i < 30; i++) await publisher.publish({ topic, data: i, padding });
      const wait = { offline: "wait" } as const;
      const other = `${topic} answers`;
      await hotwheels.publish({ topic: other, data: "far behind" }, wait);
      const answers = hotwheels.subscribe(other, { last: 1 });
      await answers.ready;
      let count = 0;
      for await (const { message } of messages) {
        assertEquals(message.data, count++);
        await hotwheels.publish({ topic: other, data: message.data }, wait);
        if (count === 30) break;
      }
      assertEquals(await data(answers, 3), ["far behind", 0, 1]);
      await hotwheels.close();
      await publisher.close();
    },
  },
  {
    name: "gets receipts although nobody reads what is published meanwhile",
    async run({ bed, connect, url, topic }) {
      const server = await bed.plain();
      const hotwheels = await connect(url(server), { ...QUICK, buffer: 1_000 });
      const messages = hotwheels.subscribe(topic, { onGap: "throw" });
      await messages.ready;
      const data = "x".repeat(1_000);
      const receipts = await Promise.all(
        Array.from({ length: 100 }, () => hotwheels.publish({ topic, data })),
      );
      assertEquals(receipts.map(({ matched }) => matched), Array(100).fill(1));
      await take(messages, 100);
      const { matched } = await hotwheels.publish({ topic }, { offline: "wait" });
      assertEquals(matched, 1);
      await hotwheels.close();
    },
  },
];
