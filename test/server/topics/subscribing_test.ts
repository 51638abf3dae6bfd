import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { after, before, describe, it } from "node:test";
import { JanusBed } from "../../support/clients/janus_bed.ts";
import {
  delivered,
  errorOf,
  GREETING,
  type JanusClient,
  message,
  publish,
  subscribe,
  unstamp,
  unsubscribe,
} from "../../support/clients/janus_client.ts";

describe("greeting and subscribing", () => {
  let bed: JanusBed;
  before(async () => bed = await JanusBed.start());
  after(() => bed.stop());

  /** Publishes and returns the client, which has seen that all of it is accepted. */
  async function published(...messages: string[]): Promise<JanusClient> {
    const client = await bed.greeted();
    client.send(messages.map(publish).join(""));
    await client.synced();
    return client;
  }

  it("greets before the client has said anything, with a timestamp and 32 hex digits", async () => {
    const client = await bed.open();
    const before = Date.now() * 1000;
    const frame = await client.frame();
    assertMatch(frame, GREETING);
    const [mega, seconds, micros] = (JSON.parse(frame) as { timestamp: number[] }).timestamp;
    assertEquals(Object.keys(JSON.parse(frame)), ["timestamp", "token"]);
    assert(seconds! < 1e6 && micros! < 1e6);
    // The same clock, give or take what one of the two rounds or a busy machine delays.
    assert(Math.abs((mega! * 1e6 + seconds!) * 1e6 + micros! - before) < 60e6);
  });

  it("greets once, before anything else, even before an ACK that is due", async () => {
    const client = bed.begin();
    client.send(subscribe("first") + publish(message("first")));
    assertMatch(await client.frame(), GREETING);
    assertEquals(await client.frame(), "ACK");
    assertEquals(unstamp(await client.frame()).rest, delivered(message("first")));
    await client.synced();
    assertEquals(client.frames, []);
  });

  it("gives every connection a token of its own", async () => {
    const clients = Array.from({ length: 300 }, () => bed.begin());
    const tokens = await Promise.all(clients.map((client) => client.greeting()));
    assertEquals(new Set(tokens).size, 300);
    // Each of the 128 bits is random: over 300 tokens each digit's place takes every value.
    for (let place = 0; place < 32; place++) {
      assertEquals(new Set(tokens.map((token) => token[place])).size, 16);
    }
    await Promise.all(clients.map((client) => client.dispose()));
  });

  for (
    const [name, frames] of [
      ["an empty frame", "\0"],
      ["<regular-socket/>", "<regular-socket/>\0"],
      ["PING", "PING\0"],
      ["PONG", "PONG\0"],
      ["many of them in one segment", "\0\0<regular-socket/>\0PING\0\0PONG\0<regular-socket/>\0\0"],
      ["an unsubscribe of what was never subscribed", unsubscribe("nothing")],
    ] as const
  ) {
    it(`says nothing to ${name}`, async () => {
      const client = await bed.greeted();
      client.send(frames + subscribe("words"));
      assertEquals(await client.frame(), "ACK");
    });
  }

  it("says ACK to a subscribe, and delivers what is published then", async () => {
    const client = await bed.greeted();
    client.send(subscribe("plain"));
    assertEquals(await client.frame(), "ACK");
    await published(message("plain"));
    assertEquals(unstamp(await client.frame()).rest, delivered(message("plain")));
  });

  it("says ACK twice to who subscribes twice, and delivers one copy", async () => {
    const client = await bed.subscribed("twice");
    await client.subscribe("twice");
    client.send(subscribe("twice") + subscribe("twice"));
    assertEquals(await client.next(2), ["ACK", "ACK"]);
    await published(message("twice", 1), message("twice", 2));
    const frames = await client.next(2);
    assertEquals(frames.map((frame) => unstamp(frame).rest), [
      delivered(message("twice", 1)),
      delivered(message("twice", 2)),
    ]);
    await client.synced();
    assertEquals(client.frames, []);
  });

  it("needs one unsubscribe only, however often a client subscribed", async () => {
    const client = await bed.subscribed("once-only");
    await client.subscribe("once-only");
    client.send(unsubscribe("once-only"));
    await client.synced();
    await published(message("once-only"));
    await client.synced();
    assertEquals(client.frames, []);
  });

  it("delivers nothing more after an unsubscribe, and says nothing to it", async () => {
    const client = await bed.subscribed("left", "kept");
    client.send(unsubscribe("left"));
    await client.synced();
    await published(message("left"), message("kept"));
    assertEquals(unstamp(await client.frame()).rest, delivered(message("kept")));
    await client.synced();
    assertEquals(client.frames, []);
  });

  it("takes a client back that subscribes again", async () => {
    const client = await bed.subscribed("again");
    client.send(unsubscribe("again") + subscribe("again"));
    assertEquals(await client.frame(), "ACK");
    await published(message("again"));
    assertEquals(unstamp(await client.frame()).rest, delivered(message("again")));
  });

  it("delivers each topic to its own subscribers only", async () => {
    const one = await bed.subscribed("one");
    const two = await bed.subscribed("two");
    const both = await bed.subscribed("one", "two");
    await published(message("one"), message("two"), message("three"));
    assertEquals(unstamp(await one.frame()).rest, delivered(message("one")));
    assertEquals(unstamp(await two.frame()).rest, delivered(message("two")));
    const frames = (await both.next(2)).map((frame) => unstamp(frame).rest);
    assertEquals(frames.sort(), [delivered(message("one")), delivered(message("two"))]);
    for (const client of [one, two, both]) {
      await client.synced();
      assertEquals(client.frames, []);
    }
  });

  it("takes action and data in either order, with whitespace and further members", async () => {
    const client = await bed.greeted();
    client.send('{"data":"loose","action":"subscribe"}\0');
    client.send(' {\t"id" : 7 , "action":\n"subscribe","x":{"action":"unsubscribe"}, ');
    client.send('"data" :"loose2","y":[1,2,null]} \r\n\0');
    client.send('{"act\\u0069on":"subscr\\u0069be","dat\\u0061":"loose3"}\0');
    assertEquals(await client.next(3), ["ACK", "ACK", "ACK"]);
    await published(message("loose"), message("loose2"), message("loose3"));
    assertEquals((await client.next(3)).length, 3);
    client.send('{"data":"loose","z":false,"action":"unsubscribe"}\0');
    await client.synced();
    await published(message("loose"), message("loose2"));
    assertEquals(unstamp(await client.frame()).rest, delivered(message("loose2")));
  });

  it("compares topics after decoding", async () => {
    const client = await bed.greeted();
    client.send('{"action":"subscribe","data":"\\u0061\\/\\ud83d\\ude80"}\0');
    assertEquals(await client.frame(), "ACK");
    const spelled = '{"topic":"a/🚀","n":1}';
    await published(spelled);
    assertEquals(unstamp(await client.frame()).rest, delivered(spelled));
    client.send(unsubscribe("a/🚀"));
    await client.synced();
    await published(spelled);
    await client.synced();
    assertEquals(client.frames, []);
  });

  it("tells topics apart that only look alike", async () => {
    const client = await bed.subscribed("ä", "topic", "__proto__", "constructor");
    await published(message("a\u0308"), message("Topic"), message("topic "), message("toString"));
    await published(message("__proto__"), message("constructor"), message("ä"));
    const topics = (await client.next(3)).map((frame) =>
      (JSON.parse(frame) as { topic: string }).topic
    );
    assertEquals(topics.sort(), ["__proto__", "constructor", "ä"]);
    await client.synced();
    assertEquals(client.frames, []);
  });

  it("takes topics of 1 to 256 bytes in UTF-8", async () => {
    for (const topic of ["x", "y".repeat(256), "é".repeat(128), "🚀".repeat(64)]) {
      const client = await bed.subscribed(topic);
      await published(message(topic));
      assertEquals(unstamp(await client.frame()).rest, delivered(message(topic)));
    }
    for (const topic of ["", "y".repeat(257), "é".repeat(128) + "x", "🚀".repeat(64) + "x"]) {
      for (const action of ["subscribe", "unsubscribe"]) {
        const client = await bed.greeted();
        client.send(JSON.stringify({ action, data: topic }) + "\0");
        const { how, frames } = await client.closed();
        assertEquals(how, "fin");
        assertEquals(frames.length, 1);
        assertEquals(errorOf(frames[0]).code, "bad_frame");
      }
      const client = await bed.greeted();
      client.send(publish(message(topic)));
      assertEquals(errorOf((await client.closed()).frames[0]).code, "bad_message");
    }
  });

  it("reads frames that are split at any byte", async () => {
    const receiver = await bed.subscribed("split");
    const client = await bed.greeted();
    const bytes = new TextEncoder().encode(
      `<regular-socket/>\0${subscribe("split é")}\0PING\0PUBLISH\0<regular-socket/>\0\0` +
        ` ${message("split", "é🚀")} \0${unsubscribe("split é")}${subscribe("done")}`,
    );
    for (const byte of bytes) await client.sent(new Uint8Array([byte]));
    assertEquals(await client.next(2), ["ACK", "ACK"]);
    assertEquals(unstamp(await receiver.frame()).rest, delivered(message("split", "é🚀")));
  });

  it("answers in the order in which it was asked, many frames to a segment", async () => {
    const client = await bed.greeted();
    client.send(Array.from({ length: 100 }, (_, i) => subscribe(`many-${i}`)).join(""));
    assertEquals(await client.next(100), Array(100).fill("ACK"));
    await published(...Array.from({ length: 100 }, (_, i) => message(`many-${i}`)));
    const frames = await client.next(100);
    assertEquals(new Set(frames.map((frame) => unstamp(frame).rest)).size, 100);
    frames.forEach((frame) => assertNotMatch(frame, /error/));
  });

  it("speaks as the protocol's example does, byte for byte", async () => {
    const client = await bed.open();
    const greeting = await client.frame();
    assertEquals(
      greeting.replace(/\[\d+,\d+,\d+\]/, "TS").replace(/[0-9a-f]{32}/, "TOKEN"),
      '{"timestamp":TS,"token":"TOKEN"}',
    );
    client.send('<regular-socket/>\0{"action":"subscribe","data":"events"}\0');
    assertEquals(await client.frame(), "ACK");
    const publisher = await bed.open({ deaf: true });
    publisher.send(
      "<regular-socket/>\0PUBLISH\0" +
        '{"topic":"events","event":"test_event","message_id":"","data":"test"}',
    );
    publisher.close();
    assertEquals(
      (await client.frame()).replace(/\[\d+,\d+,\d+\]/, "TS"),
      '{"timestamp":TS,"topic":"events","event":"test_event","message_id":"","data":"test"}',
    );
    client.send('<regular-socket/>\0{"action":"unsubscribe","data":"events"}\0');
    await client.synced();
    assertEquals(client.frames, []);
    assertEquals(client.partialFrame.length, 0);
  });
});
