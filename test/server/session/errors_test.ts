import { assert, assertEquals, assertGreater, assertMatch, assertNotMatch } from "@std/assert";
import { after, before, describe, it } from "node:test";
import { JanusBed, withServer } from "../../support/clients/janus_bed.ts";
import {
  bytesOf,
  delivered,
  errorOf,
  type JanusClient,
  message,
  publish,
  subscribe,
  unstamp,
} from "../../support/clients/janus_client.ts";

/** Bytes that a client sends, by their fault. */
type Cases = readonly (readonly [string, Uint8Array | string])[];

const BAD_FRAMES: Cases = [
  ["is no word of the protocol", "HELLO\0"],
  ["is a word in the wrong case", "ping\0"],
  ["has something behind a word", "PING \0"],
  ["has something before a word", " PONG\0"],
  ["is almost <regular-socket/>", "<regular-socket />\0"],
  ["is PUBLISH with something behind it", 'PUBLISH {"topic":"t"}\0'],
  ["is JSON but no object", '"subscribe"\0'],
  ["is an array", '["subscribe","t"]\0'],
  ["is cut short", '{"action":"subscribe","data":"t"\0'],
  ["has something behind its object", '{"action":"subscribe","data":"t"}x\0'],
  ["has two objects", '{"action":"subscribe","data":"t"}{"action":"subscribe","data":"t"}\0'],
  ["has a trailing comma", '{"action":"subscribe","data":"t",}\0'],
  ["has a comment", '{"action":"subscribe",/**/"data":"t"}\0'],
  ["has single quotes", "{'action':'subscribe','data':'t'}\0"],
  ["has a bare control character in a string", '{"action":"subscribe","data":"a\nb"}\0'],
  ["has a byte order mark", '\ufeff{"action":"subscribe","data":"t"}\0'],
  ["has an unknown action", '{"action":"announce","data":"t"}\0'],
  ["has an action in the wrong case", '{"action":"Subscribe","data":"t"}\0'],
  ["has an action that is no string", '{"action":["subscribe"],"data":"t"}\0'],
  ["has no action", '{"data":"t"}\0'],
  ["has an empty object", "{}\0"],
  ["has no data", '{"action":"subscribe"}\0'],
  ["has no data for unsubscribe", '{"action":"unsubscribe"}\0'],
  ["has null as data", '{"action":"subscribe","data":null}\0'],
  ["has a number as data", '{"action":"subscribe","data":7}\0'],
  ["has an array as data", '{"action":"subscribe","data":["t"]}\0'],
  ["has an object as data", '{"action":"unsubscribe","data":{"topic":"t"}}\0'],
  ["has an empty topic", '{"action":"subscribe","data":""}\0'],
  ["has a lone surrogate in its topic", '{"action":"subscribe","data":"a\\ud800b"}\0'],
  ["has a bad action before a good one's data", '{"action":"subscribe","action":1,"data":"t"}\0'],
  ["isn't UTF-8", bytesOf('{"action":"subscribe","data":"', [0xff], '"}\0')],
  ["has half a character", bytesOf('{"action":"subscribe","data":"', [0xe2, 0x82], '"}\0')],
  ["has an overlong character", bytesOf('{"action":"subscribe","data":"', [0xc0, 0xaf], '"}\0')],
  ["has a surrogate in UTF-8", bytesOf('{"action":"x","data":"', [0xed, 0xa0, 0x80], '"}\0')],
  ["has a terminator of the other direction", bytesOf([1, 0])],
  ["is a byte that is no character", bytesOf([0xff, 0])],
];

const BAD_MESSAGES: Cases = [
  ["begins with a quotation mark", 'PUBLISH\0"'],
  ["begins with a bracket", "PUBLISH\0["],
  ["begins with a digit", "PUBLISH\x007"],
  ["begins with a letter", "PUBLISH\0t"],
  ["begins with a byte order mark", "PUBLISH\0\ufeff{}"],
  ["begins with another PUBLISH", "PUBLISH\0PUBLISH\0"],
  ["begins with a subscribe", `PUBLISH\0${subscribe("t")}`],
  ["is whitespace and a letter", "PUBLISH\0 \n x"],
  ["is almost <regular-socket/>", "PUBLISH\0<regular-socket>"],
  ["has a NUL between its brackets", 'PUBLISH\0{"topic":"t",\0"event":"e"}'],
  ["has a NUL in a string", 'PUBLISH\0{"topic":"t\0'],
  ["ends too early", 'PUBLISH\0{"topic":"t","data":[1}'],
  ["has a trailing comma", 'PUBLISH\0{"topic":"t",}'],
  ["has a bare word", 'PUBLISH\0{"topic":"t","data":undefined}'],
  ["has a number like 01", 'PUBLISH\0{"topic":"t","data":01}'],
  ["has a number like 1.", 'PUBLISH\0{"topic":"t","data":1.}'],
  ["has a bad escape", 'PUBLISH\0{"topic":"t","data":"\\x41"}'],
  ["has a newline in a string", 'PUBLISH\0{"topic":"t","data":"a\nb"}'],
  ["isn't UTF-8", bytesOf('PUBLISH\0{"topic":"t","data":"', [0x80], '"}')],
  ["has an overlong character", bytesOf('PUBLISH\0{"topic":"t","data":"', [0xc1, 0x81], '"}')],
  ["has no topic", 'PUBLISH\0{"event":"e","data":"d"}\0'],
  ["is empty", "PUBLISH\0{}\0"],
  ["has null as topic", 'PUBLISH\0{"topic":null}\0'],
  ["has a number as topic", 'PUBLISH\0{"topic":7}\0'],
  ["has an object as topic", 'PUBLISH\0{"topic":{"topic":"t"}}\0'],
  ["has an empty topic", 'PUBLISH\0{"topic":""}\0'],
  ["has a lone surrogate in its topic", 'PUBLISH\0{"topic":"\\udc00"}\0'],
  ["has a bad topic behind a good one", 'PUBLISH\0{"topic":"t","topic":null}\0'],
  ["has a topic below the top level only", 'PUBLISH\0{"data":{"topic":"t"}}\0'],
  ["has a timestamp", 'PUBLISH\0{"timestamp":[1,2,3],"topic":"t"}\0'],
  ["has a timestamp at its end", 'PUBLISH\0{"topic":"t","timestamp":null}\0'],
  ["has a timestamp in other letters", 'PUBLISH\0{"topic":"t","\\u0074imestamp":0}\0'],
];

const BAD_AFTER_MESSAGES: Cases = [
  ["is a letter", "x"],
  ["is a bracket", "}"],
  ["is another object", '{"topic":"t"}'],
  ["is whitespace and a letter", " \n\tx"],
  ["is <regular-socket/> before the terminator", "<regular-socket/>\0"],
  ["is a byte that is no character", bytesOf([0xff])],
];

describe("errors", () => {
  let bed: JanusBed;
  before(async () => bed = await JanusBed.start());
  after(() => bed.stop());

  /** Sends it on a new connection, which must end with this code and nothing else. */
  async function refused(code: string, bytes: Uint8Array | string): Promise<string> {
    const client = await bed.greeted();
    client.send(bytes);
    const { how, frames } = await client.closed();
    assertEquals(how, "fin");
    assertEquals(frames.length, 1);
    assertEquals(client.partialFrame.length, 0);
    assertMatch(frames[0]!, /^\{"timestamp":\[\d+,\d+,\d+\],"error":\{"code":"\w+","message":"/);
    const error = errorOf(frames[0]);
    assertEquals(error.code, code);
    assertEquals(Object.keys(error), ["code", "message"]);
    assertMatch(error.message, /^[\x20-\x7e]{10,200}$/);
    return error.message;
  }

  for (const [what, bytes] of BAD_FRAMES) {
    it(`bad_frame: a frame that ${what}`, async () => void await refused("bad_frame", bytes));
  }

  for (const [what, bytes] of BAD_MESSAGES) {
    it(`bad_message: a MESSAGE that ${what}`, async () => void await refused("bad_message", bytes));
  }

  for (const [what, bytes] of BAD_AFTER_MESSAGES) {
    it(`bad_frame: what follows MESSAGE ${what}; MESSAGE is delivered`, async () => {
      const receiver = await bed.subscribed("behind");
      await refused("bad_frame", bytesOf(`PUBLISH\0${message("behind", what)}`, bytes));
      assertEquals(unstamp(await receiver.frame()).rest, delivered(message("behind", what)));
    });
  }

  it("says bad_message at the first byte that can't begin an object", async () => {
    const client = await bed.greeted();
    client.send("PUBLISH\0[");
    // The client sends no more: the server can't be waiting for anything.
    assertEquals(errorOf((await client.closed()).frames[0]).code, "bad_message");
  });

  it("says bad_message at the closing bracket, without the terminator", async () => {
    const client = await bed.greeted();
    client.send('PUBLISH\0{"topic":7}');
    assertEquals(errorOf((await client.closed()).frames[0]).code, "bad_message");
  });

  it("shows the peer's first byte in its error, if it's printable, and no more", async () => {
    assertMatch(await refused("bad_frame", "HELLO\0"), /"H" and 4 bytes more$/);
    assertNotMatch(await refused("bad_frame", bytesOf("é\x1b[2J\r\n", [1, 0])), /[^\x20-\x7e]/);
  });

  it("takes every single byte as a frame, and dies of none", async () => {
    for (let byte = 1; byte < 256; byte++) {
      await refused("bad_frame", new Uint8Array([byte, 0]));
    }
    for (let byte = 0; byte < 256; byte++) {
      const client = await bed.greeted();
      client.send(new Uint8Array([byte]));
      client.end();
      assertEquals(await client.closed(), { how: "fin", frames: [] });
    }
  });

  it("sends what is queued before the error, and delivers what was published before", async () => {
    const other = await bed.subscribed("queued");
    const client = await bed.greeted();
    let script = subscribe("queued");
    for (let i = 0; i < 50; i++) script += publish(message("queued", i));
    client.send(`${script}nonsense\0${publish(message("queued", "never"))}`);
    const { how, frames } = await client.closed();
    assertEquals(how, "fin");
    assertEquals(frames.shift(), "ACK");
    const expected = Array.from({ length: 50 }, (_, i) => delivered(message("queued", i)));
    assertEquals(frames.slice(0, 50).map((frame) => unstamp(frame).rest), expected);
    assertEquals(frames.length, 51);
    assertEquals(errorOf(frames[50]).code, "bad_frame");
    assertEquals((await other.next(50)).map((frame) => unstamp(frame).rest), expected);
    await other.synced();
    assertEquals(other.frames, []);
  });

  it("sends megabytes that are queued before the error, each frame whole", async () => {
    const limits = { maxPendingBytes: 64 * 1024 * 1024, softPendingBytes: 64 * 1024 * 1024 };
    await withServer(limits, async (bed) => {
      const client = await bed.subscribed("much");
      const publisher = await bed.greeted();
      client.pause();
      const data = "y".repeat(50_000);
      for (let i = 0; i < 200; i++) await publisher.sent(publish(message("much", `${i} ${data}`)));
      await publisher.synced();
      await client.sent("nonsense\0");
      await bed.untilEnded("bad_frame");
      assertGreater(bed.ended[0]!.pendingBytes, 1_000_000);
      client.resume();
      const { how, frames } = await client.closed();
      assertEquals(how, "fin");
      assertEquals(frames.length, 201);
      for (let i = 0; i < 200; i++) assert(frames[i]!.endsWith(`"data":"${i} ${data}"}`));
      assertEquals(errorOf(frames[200]).code, "bad_frame");
      assertEquals(client.partialFrame.length, 0);
    });
  });

  it("affects no other client", async () => {
    const others: JanusClient[] = [];
    for (let i = 0; i < 10; i++) others.push(await bed.subscribed("calm"));
    const publisher = await bed.greeted();
    const wrong = [...BAD_FRAMES, ...BAD_MESSAGES];
    for (const [i, [, bytes]] of wrong.entries()) {
      const client = await bed.subscribed("calm");
      client.send(bytes);
      publisher.send(publish(message("calm", i)));
      await client.closed();
    }
    const expected = wrong.map((_, i) => delivered(message("calm", i)));
    for (const other of others) {
      const frames = await other.next(wrong.length);
      assertEquals(frames.map((frame) => unstamp(frame).rest), expected);
    }
  });

  it("tells who runs it the peer, the reason and the error's text", async () => {
    await withServer({}, async (bed) => {
      const client = await bed.greeted();
      const remotePort = client.localPort;
      client.send("nonsense\0");
      const { message } = errorOf((await client.closed()).frames[0]);
      assertEquals(bed.ended, [
        {
          remoteAddress: "127.0.0.1",
          remotePort,
          reason: "bad_frame",
          pendingBytes: 0,
          topic: undefined,
          topicCount: 0,
          ageMs: bed.ended[0]!.ageMs,
          detail: message,
        },
      ]);
      assertEquals(bed.server.counters.ended.bad_frame, 1);
    });
  });
});
