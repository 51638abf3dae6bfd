import { quiet } from "../../support/until.ts";
import { assert, assertEquals } from "@std/assert";
import { after, before, describe, it } from "node:test";
import { JanusBed, withServer } from "../../support/clients/janus_bed.ts";
import {
  bytesOf,
  delivered,
  type JanusClient,
  message,
  publish,
  unstamp,
} from "../../support/clients/janus_client.ts";

/** Each is a MESSAGE for the topic `odd` that a server that decodes and encodes would change. */
const ODD_MESSAGES: readonly (readonly [string, string])[] = [
  [
    "numbers as they are spelled",
    '{"topic":"odd","data":[1.0e5,-0,1E+2,0.10,12345678901234567890]}',
  ],
  ["escapes as they are spelled", '{"topic":"odd","data":"\\u0061\\/\\n\\u00e9\\ud83d\\ude80"}'],
  ["a topic as it is spelled", '{"topic":"\\u006fdd","event":"e"}'],
  ["characters of any length in UTF-8", '{"topic":"odd","data":"é 漢 🚀 \u2028 \ufeff \u007f"}'],
  ["whitespace inside", '{ "topic"\t:\r\n "odd" ,\n  "data" : [ 1 , { } , [ ] ] }'],
  ["repeated members", '{"topic":"other","data":1,"topic":"odd","data":2,"data":3}'],
  ["members in any order", '{"data":"x","message_id":7,"zzz":null,"event":true,"topic":"odd"}'],
  ["members named like integers", '{"10":1,"2":2,"topic":"odd","1":3}'],
  ["an object with nothing but a topic", '{"topic":"odd"}'],
  ["a timestamp below the top level", '{"topic":"odd","data":{"timestamp":[1,2,3]}}'],
  ["a lone surrogate outside the topic", '{"topic":"odd","data":"\\ud800"}'],
  [
    "brackets, quotes and terminators in strings",
    '{"topic":"odd","data":"}{\\"\\\\]\\u0000\\u0001"}',
  ],
  ["__proto__ and other names", '{"__proto__":{"topic":"no"},"topic":"odd","constructor":0}'],
  ["depth", `{"topic":"odd","data":${"[".repeat(500)}${"]".repeat(500)}}`],
];

describe("publishing", () => {
  let bed: JanusBed;
  before(async () => bed = await JanusBed.start());
  after(() => bed.stop());

  async function assertDelivered(receiver: JanusClient, ...messages: string[]): Promise<void> {
    const frames = await receiver.next(messages.length);
    assertEquals(frames.map((frame) => unstamp(frame).rest), messages.map(delivered));
  }

  it("delivers a legacy publisher's message, whose connection ends with FIN", async () => {
    const receiver = await bed.subscribed("legacy");
    const publisher = await bed.greeted();
    publisher.send(`<regular-socket/>\0PUBLISH\0${message("legacy")}`);
    publisher.end();
    await assertDelivered(receiver, message("legacy"));
    assertEquals(await publisher.closed(), { how: "fin", frames: [] });
  });

  it("delivers a legacy publisher's message, whose unread greeting makes it an RST", async () => {
    const receiver = await bed.subscribed("rst");
    const publisher = await bed.open({ deaf: true });
    await publisher.sent(`<regular-socket/>\0PUBLISH\0${message("rst")}`);
    publisher.close();
    await assertDelivered(receiver, message("rst"));
  });

  it("delivers what was sent right before an RST", async () => {
    const receiver = await bed.subscribed("abort");
    for (let i = 0; i < 20; i++) {
      const publisher = await bed.greeted();
      await publisher.sent(`PUBLISH\0${message("abort", i)}`);
      publisher.reset();
      await assertDelivered(receiver, message("abort", i));
    }
  });

  it("publishes before the terminator, the peer's end or anything else has come", async () => {
    const receiver = await bed.subscribed("at-once");
    const publisher = await bed.greeted();
    publisher.send(`PUBLISH\0${message("at-once")}`);
    await assertDelivered(receiver, message("at-once"));
    assertEquals(publisher.ended, null);
  });

  it("closes by itself, without a word, behind a publisher that stays", async () => {
    await withServer({}, async (bed) => {
      const receiver = await bed.subscribed("stays");
      const publisher = await bed.greeted();
      publisher.send(`PUBLISH\0${message("stays")}`);
      await assertDelivered(receiver, message("stays"));
      assertEquals(await publisher.closed(), { how: "fin", frames: [] });
      assertEquals(bed.ended.map(({ reason }) => reason), ["published"]);
    });
  });

  it("closes behind a publisher that goes on sending whitespace", async () => {
    const publisher = await bed.greeted();
    publisher.send(`PUBLISH\0${message("spaces")}`);
    const sending = setInterval(() => publisher.send(" "), 50);
    try {
      assertEquals(await publisher.closed(), { how: "fin", frames: [] });
    } finally {
      clearInterval(sending);
    }
  });

  it("keeps a connection whose terminator comes in a later segment", async () => {
    const receiver = await bed.subscribed("later");
    const publisher = await bed.greeted();
    publisher.send(`PUBLISH\0${message("later", 1)}`);
    await assertDelivered(receiver, message("later", 1));
    publisher.send("\0");
    // Longer than it would be kept without the terminator.
    await quiet(1500);
    assertEquals(publisher.ended, null);
    publisher.send(`PUBLISH\0${message("later", 2)}`);
    publisher.send(` \r\n\0`);
    publisher.send(publish(message("later", 3)));
    await assertDelivered(receiver, message("later", 2), message("later", 3));
    await publisher.synced();
  });

  it("takes as many pipelined messages as come, in any segments", async () => {
    const receiver = await bed.subscribed("pipeline");
    const publisher = await bed.greeted();
    const messages = Array.from({ length: 500 }, (_, i) => message("pipeline", i));
    const stream = bytesOf(messages.map(publish).join(""));
    for (let at = 0; at < stream.length; at += 997) publisher.send(stream.subarray(at, at + 997));
    await assertDelivered(receiver, ...messages);
    await publisher.synced();
    assertEquals(publisher.frames, []);
  });

  it("ignores empty frames and <regular-socket/> between PUBLISH and MESSAGE", async () => {
    const receiver = await bed.subscribed("between");
    const publisher = await bed.greeted();
    publisher.send(`PUBLISH\0\0<regular-socket/>\0\0<regular-socket/>\0${message("between")}\0`);
    await assertDelivered(receiver, message("between"));
    await publisher.synced();
  });

  it("skips JSON whitespace around MESSAGE, which isn't part of it", async () => {
    const receiver = await bed.subscribed("around");
    const publisher = await bed.greeted();
    publisher.send(`PUBLISH\0 \t\r\n${message("around")}\n \t\r\0${publish(message("around", 2))}`);
    await assertDelivered(receiver, message("around"), message("around", 2));
  });

  it("delivers to a connection that publishes and subscribes its own message", async () => {
    const client = await bed.subscribed("own");
    client.send(publish(message("own", 1)) + publish(message("own", 2)));
    await assertDelivered(client, message("own", 1), message("own", 2));
  });

  it("accepts a message without subscribers", async () => {
    const publisher = await bed.greeted();
    const { messagesIn } = bed.server.counters;
    publisher.send(publish(message("nobody")).repeat(10));
    await publisher.synced();
    assertEquals(bed.server.counters.messagesIn, messagesIn + 10);
  });

  for (const [what, odd] of ODD_MESSAGES) {
    it(`passes on unchanged: ${what}`, async () => {
      const receiver = await bed.subscribed("odd");
      const publisher = await bed.greeted();
      publisher.send(publish(odd));
      assertEquals(unstamp(await receiver.frame()).rest, delivered(odd));
      publisher.send(`PUBLISH\0${odd}`);
      publisher.end();
      assertEquals(unstamp(await receiver.frame()).rest, delivered(odd));
    });
  }

  it("delivers all of 1,000 publishers that connect, send and close unread", async () => {
    const receiver = await bed.subscribed("thousand");
    const waiting = Array.from({ length: 1000 }, (_, i) => i);
    // As many at once as fit into the smallest backlog of a runtime.
    await Promise.all(Array.from({ length: 200 }, async () => {
      for (let i = waiting.pop(); i !== undefined; i = waiting.pop()) {
        const publisher = await bed.open({ deaf: true });
        await publisher.sent(`<regular-socket/>\0PUBLISH\0${message("thousand", i)}`);
        publisher.close();
      }
    }));
    const frames = await receiver.next(1000);
    const seen = new Set(frames.map((frame) => unstamp(frame).rest));
    for (let i = 0; i < 1000; i++) assert(seen.has(delivered(message("thousand", i))));
    assertEquals(seen.size, 1000);
    await receiver.synced();
    assertEquals(receiver.frames, []);
  });

  it("outlives publishers that go away in the middle of a message", async () => {
    const receiver = await bed.subscribed("half");
    for (const part of ["PUBLISH", "PUBLISH\0", "PUBLISH\0{", `PUBLISH\0{"topic":"half","da`]) {
      for (const leave of ["end", "reset", "close"] as const) {
        const publisher = await bed.greeted();
        await publisher.sent(part);
        publisher[leave]();
      }
    }
    const publisher = await bed.greeted();
    publisher.send(publish(message("half")));
    await assertDelivered(receiver, message("half"));
    await receiver.synced();
    assertEquals(receiver.frames, []);
  });
});
