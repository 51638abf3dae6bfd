import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import type { Dialect } from "../../../bots/dialects/dialect.ts";
import { NatsDialect } from "../../../bots/dialects/nats_dialect.ts";
import { RedisDialect } from "../../../bots/dialects/redis_dialect.ts";
import { DAMAGES } from "./damages.ts";

const MICROS = 1795435719993501;

const PAYLOAD =
  '{"timestamp":[1795,435719,993501],"topic":"events","event":"test_event","message_id":"","data":"test"}';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function bytes(text: string | Uint8Array): Uint8Array {
  return typeof text === "string" ? encoder.encode(text) : text;
}

function join(...parts: (string | Uint8Array)[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...bytes(part)]));
}

interface Case {
  readonly dialect: Dialect;
  readonly publish: string;
  /** The frame around a payload, its length told truly. */
  readonly frame: (payload: Uint8Array) => Uint8Array;
  readonly kinds: Readonly<Record<string, string>>;
  /** Frames with the right payload that aren't messages of this subscription. */
  readonly wrong: readonly string[];
}

const content = { topic: "events", data: "test" };

const CASES: Readonly<Record<string, Case>> = {
  nats: {
    dialect: new NatsDialect(content),
    publish: `PUB events ${PAYLOAD.length}\r\n${PAYLOAD}\r\n`,
    frame: (payload) => join(`MSG events 1 ${payload.length}\r\n`, payload, "\r\n"),
    kinds: {
      'INFO {"server_id":"N","version":"2.9.10","max_payload":1048576} \r\n': "greeting",
      "PONG\r\n": "acknowledgement",
      "PING\r\n": "heartbeat",
      "-ERR 'Authorization Violation'\r\n": "refusal",
      "+OK\r\n": "unknown",
      "PONGS\r\n": "unknown",
      "\r\n": "unknown",
    },
    wrong: [
      `MSG event 1 ${PAYLOAD.length}\r\n${PAYLOAD}\r\n`,
      `MSG events 2 ${PAYLOAD.length}\r\n${PAYLOAD}\r\n`,
      `MSG events 1 ${PAYLOAD.length}\r\n${PAYLOAD}xx`,
      `MSG events ${PAYLOAD.length}\r\n${PAYLOAD}\r\n`,
    ],
  },
  redis: {
    dialect: new RedisDialect(content),
    publish: `*3\r\n$7\r\nPUBLISH\r\n$6\r\nevents\r\n$${PAYLOAD.length}\r\n${PAYLOAD}\r\n`,
    frame: (payload) =>
      join(
        `*3\r\n$7\r\nmessage\r\n$6\r\nevents\r\n$${payload.length}\r\n`,
        payload,
        "\r\n",
      ),
    kinds: {
      "+PONG\r\n": "greeting",
      "*3\r\n$9\r\nsubscribe\r\n$6\r\nevents\r\n:1\r\n": "acknowledgement",
      "-ERR max number of clients reached\r\n": "refusal",
      "-NOAUTH Authentication required.\r\n": "refusal",
      "*3\r\n$11\r\nunsubscribe\r\n$6\r\nevents\r\n:0\r\n": "unknown",
      "+OK\r\n": "unknown",
      ":7\r\n": "unknown",
      "*0\r\n": "unknown",
      "\r\n": "unknown",
    },
    wrong: [
      `*3\r\n$7\r\nmessage\r\n$5\r\nevent\r\n$${PAYLOAD.length}\r\n${PAYLOAD}\r\n`,
      `*2\r\n$7\r\nmessage\r\n$${PAYLOAD.length}\r\n${PAYLOAD}\r\n`,
      `*4\r\n$7\r\nmessage\r\n$6\r\nevents\r\n$${PAYLOAD.length}\r\n${PAYLOAD}\r\n:1\r\n`,
    ],
  },
};

for (const [name, { dialect, publish, frame, kinds, wrong }] of Object.entries(CASES)) {
  describe(`the ${name} dialect`, () => {
    it("publishes the message of 2009 with the publisher's timestamp in front", () => {
      assertEquals(decoder.decode(dialect.publish(MICROS)), publish);
    });

    it("tells the server's frames apart", () => {
      for (const [text, kind] of Object.entries(kinds)) {
        assertEquals([text, dialect.kindOf(bytes(text))], [text, kind]);
      }
      assertEquals(dialect.kindOf(frame(bytes(PAYLOAD))), "message");
      assertEquals(dialect.kindOf(Uint8Array.of(0xff, 0x0d, 0x0a)), "unknown");
    });

    it("finds each frame's end in a stream, and none where the frame isn't complete", () => {
      const frames = [frame(bytes(PAYLOAD)), ...Object.keys(kinds).map(bytes), frame(bytes(""))];
      const stream = join(...frames);
      let start = 0;
      for (const { length } of frames) {
        for (let end = start; end < start + length; end++) {
          assertEquals(dialect.frameEnd(stream.subarray(0, end), start), 0);
        }
        assertEquals(dialect.frameEnd(stream, start), start + length);
        start += length;
      }
    });

    it("bears any bytes", () => {
      fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (noise) => {
        const chunk = join(noise, "\r\n");
        const end = dialect.frameEnd(chunk, 0);
        const any = chunk.subarray(0, end === 0 ? undefined : end);
        dialect.kindOf(any);
        dialect.refusalReason(any);
        assertEquals(dialect.examine(any).verdict === "right", false);
      }));
    });

    it("finds what was published right, with its timestamp", () => {
      const right = { verdict: "right", stampMicros: MICROS } as const;
      assertEquals(dialect.examine(frame(bytes(PAYLOAD))), right);
      assertEquals(
        dialect.examine(frame(bytes(PAYLOAD.replace("test_event", "\\u0074est_event")))),
        right,
      );
    });

    for (const [what, damage] of Object.entries(DAMAGES)) {
      it(`never takes a message for right when ${what}`, () => {
        const damaged = bytes(damage(PAYLOAD + "\x01")).filter((byte) => byte !== 1);
        assertEquals(dialect.examine(frame(damaged)).verdict === "right", false);
      });
    }

    it("never takes a frame that isn't this subscription's for right", () => {
      for (const text of wrong) {
        assertEquals([text, dialect.examine(bytes(text)).verdict], [text, "damaged"]);
      }
    });
  });
}

it("the nats dialect takes no topic that would be no subject, or more than one", () => {
  for (const topic of ["", "a b", "a\r\nPUB b 1", "*", "a.>", ".a", "a.", "a..b"]) {
    assertThrows(() => new NatsDialect({ topic, data: "" }), RangeError);
  }
  new NatsDialect({ topic: "a.b", data: "" });
});
