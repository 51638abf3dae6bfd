import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "node:test";
import { serve } from "../../../mod.ts";
import { JanusClient, message, publish } from "../../support/clients/janus_client.ts";
import { until } from "../../support/until.ts";

const at = { hostname: "127.0.0.1", port: 0 };

const utf8 = new TextEncoder();

describe("a program that embeds a server", () => {
  it("publishes what it says as it says it, and hears whom that reached", async () => {
    const server = await serve(at);
    assert(server.address.transport === "tcp");
    const [one, two] = [
      await JanusClient.subscribed(server.address, "t"),
      await JanusClient.subscribed(server.address, "t", "u"),
    ];
    const receipts = await Promise.all([
      server.publish({ topic: "t", data: { a: 1 } }),
      server.publish(' {"data":1.0,"topic":"u"} '),
      server.publish(utf8.encode('{"topic":"nobody\'s"}')),
    ]);
    assertEquals(receipts.map(({ matched, written }) => [matched, written]), [[2, 2], [1, 1], [
      0,
      0,
    ]]);
    const [first, second] = receipts.map(({ timestampMicros }) => timestampMicros);
    assert(first! < second!);
    const stamp = (micros: number) =>
      `[${Math.floor(micros / 1e12)},${Math.floor(micros / 1e6) % 1e6},${micros % 1e6}]`;
    const expected = `{"timestamp":${stamp(first!)},"topic":"t","data":{"a":1}}`;
    assertEquals([await one.frame(), await two.frame()], [expected, expected]);
    assertEquals(await two.frame(), `{"timestamp":${stamp(second!)},"data":1.0,"topic":"u"}`);
    assertEquals(server.counters.messagesIn, 3);
    assertEquals([...await server.topics()].sort((a, b) => a.topic < b.topic ? -1 : 1), [
      { topic: "t", subscribers: 2, deliveries: 2 },
      { topic: "u", subscribers: 1, deliveries: 1 },
    ]);
    for (const client of [one, two]) await client.dispose();
    await until("both are gone", () => server.counters.connections === 0);
    assertEquals(await server.topics(), []);
    await server.close();
  });

  it("is told what is wrong with a message, and publishes nothing of it", async () => {
    const server = await serve({ ...at, limits: { maxFrameBytes: 1_000, maxTopicBytes: 10 } });
    const cases: [unknown, RegExp][] = [
      [{}, /topic is missing/],
      [{ topic: 1 }, /topic is not a string/],
      [{ topic: "" }, /topic is empty/],
      [{ topic: "eleven bytes" }, /at most 10 bytes/],
      [{ topic: "t", timestamp: 1 }, /timestamp/],
      [{ topic: "t", data: "x".repeat(1_000) }, /longer than 1000 bytes/],
      ["", /./],
      ["[]", /./],
      ['{"topic":"t"', /./],
      ['{"topic":"t"}{}', /./],
      ['{"topic":"t"}\0PUBLISH\0{"topic":"t"}', /one JSON object/],
      ['{"topic":"t"}\0{"action":"subscribe","data":"t"}', /one JSON object/],
    ];
    for (const [wrong, words] of cases) {
      const error = await assertRejects(() => server.publish(wrong as string), RangeError);
      assert(words.test(error.message), `${JSON.stringify(wrong)}: ${error.message}`);
    }
    assertEquals(server.counters.messagesIn, 0);
    await server.close();
    await assertRejects(() => server.publish({ topic: "t" }), Error, "stops");
  });

  it("waits for readers as clients do, and loses and mixes up nothing", async () => {
    const server = await serve(at);
    assert(server.address.transport === "tcp");
    const reader = await JanusClient.subscribed(server.address, "t");
    const data = "x".repeat(10_000);
    const count = 600;
    let receipts = 0;
    const publishing = (async () => {
      for (let n = 0; n < count; n += 100) {
        const batch = Array.from(
          { length: 100 },
          (_, i) => server.publish({ topic: "t", n: n + i, data }),
        );
        for (const { matched } of await Promise.all(batch)) receipts += matched;
      }
    })();
    for (let n = 0; n < count; n++) {
      assertEquals((JSON.parse(await reader.frame()) as { n: number }).n, n);
    }
    await publishing;
    assertEquals(receipts, count);
    assertEquals(server.counters.ended.slow_consumer, 0);
    await reader.dispose();
    await server.close();
  });

  it("is refused more than may wait, and told so of what a stop leaves", async () => {
    const server = await serve({
      ...at,
      limits: { maxFrameBytes: 64 * 1024, maxPendingBytes: 1 << 20 },
    });
    assert(server.address.transport === "tcp");
    // It reads nothing of what it gets.
    const stalled = await JanusClient.subscribed(server.address, "t");
    stalled.pause();
    const data = "x".repeat(60_000);
    const outcomes: Promise<string>[] = [];
    const all = Array.from({ length: 400 }, () => {
      return server.publish({ topic: "t", data }).then(
        () => "receipt",
        (error: Error) => error.message,
      );
    });
    outcomes.push(...all);
    const first = await Promise.race(outcomes);
    assert(first !== "");
    await server.close({ drainMs: 0 });
    const said = new Set(await Promise.all(outcomes));
    assertEquals(
      [...said].filter((one) => !/^receipt$|bytes wait to be published|stops/.test(one)),
      [],
    );
    assert([...said].some((one) => /bytes wait to be published/.test(one)), [...said].join());
    assert(server.counters.messagesIn < all.length);
    await stalled.dispose();
  });

  it("publishes beside clients, in one order for all subscribers", async () => {
    const server = await serve(at);
    assert(server.address.transport === "tcp");
    const readers = [
      await JanusClient.subscribed(server.address, "t"),
      await JanusClient.subscribed(server.address, "t"),
    ];
    const client = await JanusClient.greeted(server.address);
    for (let n = 0; n < 50; n++) {
      client.send(publish(message("t", `client ${n}`)));
      await server.publish({ topic: "t", data: `program ${n}` });
    }
    const heard = await Promise.all(readers.map(async (reader) => {
      const frames: string[] = [];
      while (frames.length < 100) frames.push(await reader.frame());
      return frames;
    }));
    assertEquals(heard[0], heard[1]);
    for (const one of [client, ...readers]) await one.dispose();
    await server.close();
  });
});
