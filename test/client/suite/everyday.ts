import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Case, data, failure, find, QUICK, take, until } from "./case.ts";

/** What programs do every day. */
export const EVERYDAY: readonly Case[] = [
  {
    name: "subscribes, publishes, gets a receipt and the message, and closes",
    async run({ bed, connect, url, topic }) {
      const hotwheels = await connect(url(await bed.plain()));
      const statuses = hotwheels.statuses();
      const messages = hotwheels.subscribe(topic, { last: 1 });
      assertEquals((await messages.ready).reason, "new");
      const receipt = await hotwheels.publish({ topic, data: "hello", more: [1, "ü"] });
      const { timestamp, ...counts } = receipt;
      assertEquals(counts, { matched: 1, written: 1, queued: 0, evicted: 0 });
      const [delivered] = await take(messages, 1);
      const message = { topic, data: "hello", more: [1, "ü"] };
      assertEquals([delivered!.message, delivered!.timestamp], [message, timestamp]);
      assert(Math.abs(timestamp / 1_000 - Date.now()) < 60_000);
      await hotwheels.close();
      assertEquals((await messages.next()).done, true);
      const states = [];
      for await (const { state } of statuses) states.push(state);
      assertEquals(states, ["open", "subscribed", "closed"]);
    },
  },
  {
    name: "begins with the stored messages that it asks for",
    async run({ bed, connect, url, topic }) {
      const hotwheels = await connect(url(await bed.plain()));
      for (const each of [1, 2, 3]) await hotwheels.publish({ topic, data: each });
      const two = hotwheels.subscribe(topic, { last: 2 });
      assertEquals(await data(two, 2), [2, 3]);
      // One topic is one subscription, and each iterator gets what it asked for.
      const three = hotwheels.subscribe(topic, { last: 3 });
      const plain = hotwheels.subscribe(topic);
      assertEquals(await data(three, 3), [1, 2, 3]);
      await plain.ready;
      const { matched } = await hotwheels.publish({ topic, data: 4 });
      assertEquals(matched, 1);
      for (const each of [two, three, plain]) assertEquals(await data(each, 1), [4]);
      await hotwheels.close();
    },
  },
  {
    name: "unsubscribes when the last of a topic's loops breaks",
    async run({ bed, connect, url, topic }) {
      const hotwheels = await connect(url(await bed.plain()));
      const first = hotwheels.subscribe(topic);
      const second = hotwheels.subscribe(topic);
      await first.ready;
      const publish = async () => (await hotwheels.publish({ topic })).matched;
      assertEquals(await publish(), 1);
      for await (const _ of first) break;
      assertEquals(await publish(), 1);
      assertEquals((await first.next()).done, true);
      assertEquals((await take(second, 2)).length, 2);
      await second.return!();
      await until("it has unsubscribed", async () => await publish() === 0);
      const again = hotwheels.subscribe(topic);
      await again.ready;
      await hotwheels.publish({ topic, data: "new" });
      assertEquals(await data(again, 1), ["new"]);
      await hotwheels.close();
    },
  },
  {
    name: "delivers messages whose members look like the server's own frames",
    async run({ bed, connect, url, topic }) {
      const hotwheels = await connect(url(await bed.plain()));
      const messages = hotwheels.subscribe(topic);
      const hostile = ["token", "error", "receipt", "resume", "from", "__proto__"].map((name) => {
        return JSON.parse(
          `{"${name}":{"topic":"t","code":"forbidden"},"topic":${JSON.stringify(topic)}}`,
        );
      });
      for (const each of hostile) await hotwheels.publish(each);
      const delivered = await take(messages, hostile.length);
      assertEquals(
        delivered.map(({ message }) => JSON.stringify(message)),
        hostile.map((each) => {
          return JSON.stringify(each);
        }),
      );
      await hotwheels.close();
    },
  },
  {
    name: "carries a JSON text as it is spelled, both ways",
    async run({ bed, connect, url, topic }) {
      const hotwheels = await connect(url(await bed.plain()));
      const messages = hotwheels.subscribe(topic);
      const name = JSON.stringify(topic);
      const texts = [
        `{ "z": 1.0, "topic":${name},"data": 12345678901234567890 ,"a":1e2,"a":-0}`,
        `{"topic":"another","data":"\\u00e9 ü \\/ \\ud83d\\ude00 😀","topic":${name}}`,
        `{"topic":${name},"data":[1,\t2\n]}`,
      ];
      for (const receipt of [true, false]) {
        for (const text of texts) await hotwheels.publish(text, { receipt });
        for (const [at, { json, message, timestamp }] of (await take(messages, 3)).entries()) {
          const [, stamp, rest] = /^\{"timestamp":\[([\d,]+)\],([^]*)$/.exec(json)!;
          assertEquals(`{${rest}`, texts[at]);
          const [mega, seconds, micros] = stamp!.split(",").map(Number);
          assertEquals((mega! * 1e6 + seconds!) * 1e6 + micros!, timestamp);
          assertEquals(message, JSON.parse(texts[at]!));
        }
      }
      const wrong = ["events", "", "[1]", "null", "{}", '{"topic":""}', `{"topic":${name}`];
      wrong.push(`{"topic":${name},"timestamp":null}`, `{"topic":${name},"data":"\ud800"}`);
      for (const text of wrong) {
        assertEquals((await failure(hotwheels.publish(text))).name, "RangeError", text);
      }
      await hotwheels.close();
    },
  },
  {
    name: "publishes without a receipt, in order with the others",
    async run({ bed, connect, url, topic }) {
      const hotwheels = await connect(url(await bed.plain()));
      const messages = hotwheels.subscribe(topic);
      for (let i = 0; i < 500; i++) {
        const message = { topic, data: i };
        if (i % 7 === 0) await hotwheels.publish(message);
        else assertEquals(await hotwheels.publish(message, { receipt: false }), undefined);
      }
      assertEquals(await data(messages, 500), Array.from({ length: 500 }, (_, i) => i));
      await hotwheels.close();
    },
  },
  {
    name: "shows its keys, and is told when they are wrong, for good",
    async run({ bed, connect, url, topic }) {
      // The files belong to the bed's folder: keys are in the suite's fixtures.
      const keys = "test/client/fixtures/";
      const server = await bed.start([
        ...["--publish-key-file", `${keys}publish.keys`],
        ...["--subscribe-key-file", `${keys}subscribe.keys`],
      ]);
      const key = ["key-of-a-publisher", "key-of-a-subscriber"];
      const hotwheels = await connect(url(server), { key });
      const messages = hotwheels.subscribe(topic);
      await hotwheels.publish({ topic, data: 1 });
      assertEquals(await data(messages, 1), [1]);
      await hotwheels.close();
      const wrong = await failure(connect(url(server), { key: "a-key-that-is-wrong" }));
      assertEquals(wrong.name, "ForbiddenError");
      assertMatch(wrong.message, /the option key/);
      const reader = await connect(url(server), { key: key[1] });
      const forbidden = await failure(reader.publish({ topic }));
      assertEquals(forbidden.name, "ForbiddenError");
      assertEquals((await failure(reader.publish({ topic }))).name, "ForbiddenError");
      const none = await connect(url(server));
      assertEquals((await failure(none.subscribe(topic).next())).name, "ForbiddenError");
      const final = await find(none.statuses(), ({ state }) => state === "closed");
      assert(final.state === "closed" && final.isFinal);
    },
  },
  {
    name: "tries several URLs in turn, and leaves out those that are no good",
    async run({ bed, connect, url, door }) {
      const server = await bed.plain();
      const old = await bed.script(door, { greeting: '{"hello":1}\x01' });
      const gone = await bed.proxy(server.tcp);
      await bed.disturb(gone, "close");
      const tried: string[] = [];
      const hotwheels = await connect([url(gone), url(old), url(server)], {
        ...QUICK,
        onStatus: (status) => {
          if (status.state === "connecting") tried.push(status.url);
        },
      });
      assertEquals(tried, [url(gone), url(old), url(server)]);
      await hotwheels.close();
    },
  },
];
