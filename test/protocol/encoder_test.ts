import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import {
  ACK,
  encodeError,
  encodeGreeting,
  PING,
  splicedLength,
  spliceMessage,
} from "../../protocol/encoder.ts";
import { MAX_TIMESTAMP_BYTES, parseTimestamp } from "../../protocol/timestamp.ts";
import { anyText } from "../support/any_text.ts";

const utf8 = new TextEncoder();
const TOKEN = "4b8e76c65a5f6b95692134dcdf3b9066";

function text(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

function spliced(micros: number, message: string): string {
  const bytes = utf8.encode(message);
  const target = new Uint8Array(5 + splicedLength(bytes.length));
  const end = spliceMessage(target, 5, micros, bytes);
  assertEquals([...target.subarray(0, 5), ...target.subarray(end)].some((byte) => byte > 0), false);
  return text(target.subarray(5, end));
}

describe("the server's words", () => {
  it("are as in 2009, each ended by 0x01", () => {
    assertEquals(text(ACK), "ACK\x01");
    assertEquals(text(PING), "PING\x01");
  });
});

describe("encodeGreeting", () => {
  it("writes the timestamp, then the token", () => {
    assertEquals(
      text(encodeGreeting(1795_435717_985835, TOKEN)),
      `{"timestamp":[1795,435717,985835],"token":"${TOKEN}"}\x01`,
    );
  });

  it("refuses a token that isn't 32 lower-case hex digits", () => {
    for (const token of ["", TOKEN.slice(1), TOKEN + "0", TOKEN.toUpperCase(), `"${TOKEN}`]) {
      assertThrows(() => encodeGreeting(1, token), TypeError, "32 lower-case hex digits");
    }
  });
});

describe("encodeError", () => {
  it("writes the timestamp, then the code and the message", () => {
    assertEquals(
      text(encodeError(1795_000001_000002, "slow_consumer", "too slow")),
      '{"timestamp":[1795,1,2],"error":{"code":"slow_consumer","message":"too slow"}}\x01',
    );
  });

  it("says after how many milliseconds to come back, where that is known", () => {
    assertEquals(
      text(encodeError(1795_000001_000002, "server_shutdown", "stopping", 1500)),
      '{"timestamp":[1795,1,2],' +
        '"error":{"code":"server_shutdown","message":"stopping","retry_after_ms":1500}}\x01',
    );
  });

  it("escapes any text, so that 0x01 stands at the frame's end only", () => {
    fc.assert(
      fc.property(
        anyText().map((message) => `\x01"\\${message}\0`),
        (message) => {
          const frame = encodeError(7, "bad_frame", message);
          assertEquals(frame.indexOf(1), frame.length - 1);
          const decoded = JSON.parse(text(frame.subarray(0, -1)));
          assertEquals(decoded, { timestamp: [0, 0, 7], error: { code: "bad_frame", message } });
        },
      ),
    );
  });
});

describe("spliceMessage", () => {
  it("puts the timestamp before MESSAGE's members", () => {
    assertEquals(
      spliced(
        1795_435719_993501,
        '{"topic":"events","event":"test_event","message_id":"","data":"test"}',
      ),
      '{"timestamp":[1795,435719,993501],"topic":"events","event":"test_event","message_id":"","data":"test"}\x01',
    );
  });

  it("keeps the publisher's bytes: order, spelling, white space, repeated members, numbers", () => {
    const rest = ' "z" :1.0e+0,\t"\\u0074opic": "\\u0061",\n"a":-0,"a":[ ],"topic":"ü" }';
    assertEquals(spliced(5, "{" + rest), `{"timestamp":[0,0,5],${rest}\x01`);
  });

  it("writes no more than splicedLength says, and that much for the longest timestamp", () => {
    const message = utf8.encode('{"topic":"a"}');
    const target = new Uint8Array(splicedLength(message.length));
    assertEquals(spliceMessage(target, 0, Number.MAX_SAFE_INTEGER, message), target.length);
    assertEquals(target[target.length - 1], 1);
  });

  it("writes frames one behind the other", () => {
    const messages = ['{"topic":"a"}', '{"topic":"b","data":"x"}'].map((m) => utf8.encode(m));
    const target = new Uint8Array(200);
    let end = 0;
    for (const message of messages) end = spliceMessage(target, end, 9, message);
    assertEquals(
      text(target.subarray(0, end)),
      '{"timestamp":[0,0,9],"topic":"a"}\x01{"timestamp":[0,0,9],"topic":"b","data":"x"}\x01',
    );
  });

  it("leaves MESSAGE as it was", () => {
    const message = utf8.encode('{"topic":"a"}');
    spliceMessage(new Uint8Array(100), 0, 1, message);
    assertEquals(text(message), '{"topic":"a"}');
  });

  it("refuses a target without room", () => {
    const message = utf8.encode('{"topic":"a"}');
    const target = new Uint8Array(splicedLength(message.length) - 1);
    assertThrows(() => spliceMessage(target, 0, 1, message), RangeError, "No room");
    const larger = new Uint8Array(target.length + 10);
    assertThrows(() => spliceMessage(larger, 10, 1, message), RangeError, "No room");
  });

  it("makes a frame that decodes to the timestamp and MESSAGE's members in order", () => {
    fc.assert(
      fc.property(
        fc.maxSafeNat(),
        fc.dictionary(fc.string({ minLength: 1 }).map((name) => `_${name}`), fc.jsonValue()),
        (micros, members) => {
          const frame = spliced(micros, JSON.stringify({ topic: "a", ...members }));
          assert(frame.endsWith("\x01"));
          const { timestamp, ...rest } = JSON.parse(frame.slice(0, -1));
          assertEquals(parseTimestamp(timestamp), micros);
          assertEquals(JSON.stringify(rest), JSON.stringify({ topic: "a", ...members }));
        },
      ),
    );
  });
});

describe("splicedLength", () => {
  it("has room for the prefix, the longest timestamp and the terminator", () => {
    assertEquals(splicedLength(0), '{"timestamp":'.length + MAX_TIMESTAMP_BYTES + 1);
    assertEquals(splicedLength(100), splicedLength(0) + 100);
  });
});
