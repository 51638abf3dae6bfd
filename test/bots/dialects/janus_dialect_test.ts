import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "node:test";
import { JanusDialect } from "../../../bots/dialects/janus_dialect.ts";
import { DAMAGES } from "./damages.ts";

const encoder = new TextEncoder();
const dialect = new JanusDialect({ topic: "events", data: "test" });

const MESSAGE =
  '{"timestamp":[1795,435719,993501],"topic":"events","event":"test_event","message_id":"","data":"test"}\x01';

function bytes(text: string | Uint8Array): Uint8Array {
  return typeof text === "string" ? encoder.encode(text) : text;
}

describe("the Janus dialect", () => {
  it("finds a frame's end, and none where the frame isn't complete", () => {
    const stream = bytes("ACK\x01PING\x01PI");
    assertEquals(dialect.frameEnd(stream, 0), 4);
    assertEquals(dialect.frameEnd(stream, 4), 9);
    assertEquals(dialect.frameEnd(stream, 9), 0);
  });

  it("tells the server's frames apart", () => {
    const kinds = {
      "ACK\x01": "acknowledgement",
      "PING\x01": "heartbeat",
      '{"timestamp":[1795,435717,985835],"token":"4b8e76c65a5f6b95692134dcdf3b9066"}\x01':
        "greeting",
      '{"timestamp":[1795,435717,985835],"token":[52,98,56]}\x01': "greeting",
      '{"timestamp":[1,2,3],"error":{"code":"idle_timeout","message":"gone"}}\x01': "refusal",
      [MESSAGE]: "message",
      '{"timestamp":[1,2,3],"topic":"t","token":"x","error":{}}\x01': "message",
      "PONG\x01": "unknown",
      "\x01": "unknown",
      "{}\x01": "unknown",
      "[]\x01": "unknown",
      "null\x01": "unknown",
      '{"token"\x01': "unknown",
    };
    for (const [frame, kind] of Object.entries(kinds)) {
      assertEquals([frame, dialect.kindOf(bytes(frame))], [frame, kind]);
    }
    assertEquals(dialect.kindOf(new Uint8Array([0xff, 0x01])), "unknown");
  });

  it("speaks as a client of 2009, or of today where it has keys", () => {
    const text = (frame: Uint8Array) => new TextDecoder().decode(frame);
    assertEquals(text(dialect.opening), "<regular-socket/>\0PING\0");
    assertEquals(
      text(dialect.subscribe),
      '<regular-socket/>\0{"action":"subscribe","data":"events"}\0',
    );
    assertEquals([dialect.heartbeatReply.length, dialect.acknowledgements], [0, 1]);
    assertEquals([dialect.publisherStays, text(dialect.publish()).at(-1)], [false, "}"]);

    const today = new JanusDialect({ topic: "events", data: "test" }, ["a", "b"]);
    assertEquals(
      text(today.opening),
      'PING\0{"action":"authenticate","data":"a"}\0{"action":"authenticate","data":"b"}\0',
    );
    assertEquals(text(today.subscribe), '{"action":"subscribe","data":"events"}\0');
    assertEquals([text(today.heartbeatReply), today.acknowledgements], ["PONG\0", 3]);
    assertEquals([today.publisherStays, text(today.publish()).at(-1)], [true, "\0"]);
  });

  it("asks with a message of the same size, on a topic of its own", () => {
    for (const topic of ["e", "events", "caf\u00e9", "\u0001".repeat(40)]) {
      const content = { topic, data: "x".repeat(100) };
      const today = new JanusDialect(content, ["k"]);
      const { inquiry } = today;
      const words = new TextDecoder().decode(inquiry.publish);
      const asked = JSON.parse(words.slice("PUBLISH\0".length, -1));
      assertEquals([asked.topic === topic, asked.data], [false, content.data]);
      assertEquals(inquiry.publish.length, today.publish().length);
    }
  });

  it("reads the code out of a refusal, and bears one without", () => {
    const refusal = (error: string) => bytes(`{"timestamp":[1,2,3],"error":${error}}\x01`);
    assertEquals(dialect.refusalReason(refusal('{"code":"slow_consumer"}')), "slow_consumer");
    assertEquals(
      dialect.refusalText(refusal('{"code":"forbidden","message":"No"}')),
      "forbidden: No",
    );
    assertEquals(dialect.refusalText(refusal('{"code":"forbidden"}')), "forbidden");
    for (const error of ["null", "7", "{}", '{"code":7}']) {
      assertEquals(dialect.refusalReason(refusal(error)), "no code");
    }
  });

  it("finds what was published right, however it is spelt, with the server's timestamp", () => {
    const right = { verdict: "right", stampMicros: 1795435719993501 } as const;
    assertEquals(dialect.examine(bytes(MESSAGE)), right);
    assertEquals(dialect.examine(bytes(MESSAGE.replaceAll(":", " : "))), right);
    assertEquals(dialect.examine(bytes(MESSAGE.replace("test_event", "\\u0074est_event"))), right);
  });

  for (const [what, damage] of Object.entries(DAMAGES)) {
    it(`never takes a message for right when ${what}`, () => {
      assertEquals(dialect.examine(bytes(damage(MESSAGE))).verdict === "right", false);
    });
  }

  it("finds another's well-formed message different, and another topic's damaged", () => {
    const other = '{"timestamp":[1795,435719,993502],"topic":"events","said":[1,2]}\x01';
    assertEquals(dialect.examine(bytes(other)), {
      verdict: "different",
      stampMicros: 1795435719993502,
    });
    assertEquals(
      dialect.examine(bytes(other.replace("events", "others"))).verdict,
      "damaged",
    );
  });

  it("takes no broken UTF-8 for the character that stands for it elsewhere", () => {
    const replacement = new JanusDialect({ topic: "events", data: "\ufffd" });
    const frame = bytes(MESSAGE.replace('"test"', '"?"'));
    frame[frame.lastIndexOf(0x3f)] = 0xff;
    assertEquals(replacement.examine(frame).verdict, "damaged");
    assertEquals(replacement.kindOf(frame), "unknown");
  });

  it("takes no topic that the protocol has no room for", () => {
    assertThrows(() => new JanusDialect({ topic: "", data: "" }), RangeError);
  });
});
