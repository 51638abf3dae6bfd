import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { decodeCut, everyByte, type Heard, latin1, violation } from "../client_stream.ts";
import { assertRefused, assertRefusedAtOnce, EVENT } from "../client_text.ts";
import { editedBytes } from "../json/arbitraries.ts";

describe("ClientDecoder: bad_frame", () => {
  it("refuses every one-byte frame", () => {
    for (let byte = 1; byte < 256; byte++) {
      const stream = Uint8Array.of(byte, 0);
      assertEquals(decodeCut(stream), { heard: [], error: "bad_frame" }, `byte ${byte}`);
      assertEquals(decodeCut(stream, [1]), { heard: [], error: "bad_frame" }, `byte ${byte}`);
    }
    assertEquals(decodeCut(Uint8Array.of(0, 0)), { heard: [] });
  });

  it("refuses words that are not the protocol's", () => {
    for (
      const word of [
        "PIN",
        "PINGS",
        "ping",
        " PING",
        "PONG\n",
        "PUBLISHED",
        "publish",
        "PUBLISH ",
        "<regular-socket />",
        "<regular-socket/> ",
        "<policy-file-request/>",
        " ",
        "\r\n",
        "ACK",
      ]
    ) {
      assertRefused(`PING\0${word}\0`, "bad_frame", "Unknown frame ");
    }
  });

  it("refuses JSON that is no object", () => {
    for (const json of ["[]", '"subscribe"', "1", "null", "true", '[{"action":"subscribe"}]']) {
      assertRefused(`${json}\0`, "bad_frame", "Unknown frame ");
    }
  });

  it("refuses what is not JSON in UTF-8, and says where", () => {
    assertRefused('{"action":subscribe}\0', "bad_frame", 'not JSON: "s" at byte 10, where a value');
    assertRefused("{'action':1}\0", "bad_frame", 'not JSON: "\'" at byte 1, where a member');
    assertRefused('  {"a":1,}\0', "bad_frame", 'not JSON: "}" at byte 7, where a member');
    assertRefused('{"action":"sub\0', "bad_frame", "ends before its object does");
    assertRefused('\ufeff{"action":"subscribe","data":"a"}\0', "bad_frame", '"\\xef"');
    const notUtf8 = latin1('{"action":"subscribe","data":"\xe9"}\0');
    assertEquals(decodeCut(notUtf8), { heard: [], error: "bad_frame" });
    const overlong = latin1('{"action":"subscribe","data":"\xc0\xaf"}\0');
    assertEquals(decodeCut(overlong), { heard: [], error: "bad_frame" });
    const surrogate = latin1('{"action":"subscribe","data":"\xed\xa0\x80"}\0');
    assertEquals(decodeCut(surrogate), { heard: [], error: "bad_frame" });
    const elsewhere = latin1('{"action":"subscribe","data":"a","z":"\xff"}\0');
    assertEquals(decodeCut(elsewhere), { heard: [], error: "bad_frame" });
  });

  it("refuses what stands behind an action's object", () => {
    assertRefused('{"action":"subscribe","data":"a"}x\0', "bad_frame", 'stands "x"');
    assertRefused(
      '{"action":"subscribe","data":"a"} {}\0',
      "bad_frame",
      'stands "{" and 1 byte more',
    );
  });

  it("refuses unknown actions", () => {
    for (const action of ["", "Subscribe", "subscribe ", "Publish", "\\u0000", "é", "\\ud800"]) {
      assertRefused(`{"action":"${action}","data":"a"}\0`, "bad_frame", "Unknown action ");
    }
  });

  it("refuses keys that can't be one, and shows of no frame that may hold one", () => {
    assertRefused('{"action":"authenticate"}\0', "bad_frame", "key is missing");
    assertRefused('{"action":"authenticate","data":7}\0', "bad_frame", "key is not a string");
    assertRefused(
      `{"action":"authenticate","data":"${"x".repeat(1023)}"}\0`,
      "bad_frame",
      "key is longer than 1024 bytes",
    );
    for (
      const frame of [
        'authenticate "SECRET"',
        '"SECRET" auth',
        '{"data":"SECRET","action":"authenticate"',
        '{"action":"authenticate","data":"SECRET',
        '{"action":"authenticate","data":"x"}SECRET',
        '{"action":"authenticate","data":SECRET}',
        '{"action":"authenticate","data":["SECRET"]}',
      ]
    ) {
      const { code, message } = violation(latin1(frame + "\0"))!;
      assertEquals([code, message.includes("SECR")], ["bad_frame", false], message);
    }
  });

  it("refuses actions with missing and wrong-typed members", () => {
    assertRefused("{}\0", "bad_frame", "action is missing");
    assertRefused('{"data":"a"}\0', "bad_frame", "action is missing");
    assertRefused('{"x":{"action":"subscribe"},"data":"a"}\0', "bad_frame", "action is missing");
    assertRefused('{"action":"subscribe"}\0', "bad_frame", "data of an action is missing");
    assertRefused(
      '{"action":"subscribe","Data":"a"}\0',
      "bad_frame",
      "data of an action is missing",
    );
    for (const value of ["null", "1", "true", "[]", '["subscribe"]', '{"a":"subscribe"}']) {
      assertRefused(`{"action":${value},"data":"a"}\0`, "bad_frame", "action is not a string");
      assertRefused(
        `{"action":"subscribe","data":${value}}\0`,
        "bad_frame",
        "data of an action is not a string",
      );
      assertRefused(
        `{"action":"subscribe","data":"a","data":${value}}\0`,
        "bad_frame",
        "data of an action is not a string",
      );
    }
  });

  it("refuses anything but white space between MESSAGE and its NUL, after publishing it", () => {
    const heard: Heard = ["publish", "events", EVENT];
    for (let byte = 1; byte < 256; byte++) {
      const isSpace = " \t\r\n".includes(String.fromCharCode(byte));
      for (const before of ["", "\n "]) {
        const stream = latin1(`PUBLISH\0${EVENT}${before}${String.fromCharCode(byte)}`);
        const expected = { heard: [heard], ...(isSpace ? {} : { error: "bad_frame" as const }) };
        assertEquals(decodeCut(stream), expected, `byte ${byte}`);
        assertEquals(decodeCut(stream, [stream.length - 1]), expected, `byte ${byte}`);
      }
    }
    assertRefused(`PUBLISH\0${EVENT}PUBLISH\0`, "bad_frame", 'stands "P"', heard);
    assertRefused(`PUBLISH\0${EVENT}<regular-socket/>\0`, "bad_frame", "Between MESSAGE", heard);
  });

  it("shows the first byte of a frame only, and how long it is", () => {
    const { message } = violation(latin1(`GET /${"x".repeat(1000)}\0`))!;
    assertEquals(message, 'Unknown frame "G" and 1004 bytes more');
    assertEquals(violation(latin1('"\\\0'))!.message, 'Unknown frame "\\x22" and 1 byte more');
    assertEquals(violation(latin1("\x7f\0"))!.message, 'Unknown frame "\\x7f"');
    assertEquals(violation(latin1('{"action":""}\0'))!.message, "Unknown action nothing");
  });

  it("says no two bytes of what may be a key, wherever that stands", () => {
    const KEY = "7QZX9VKJ4WYH8";
    const spellings = [
      KEY,
      `AUTH ${KEY}`,
      `AUTHENTICATE ${KEY}`,
      `Authorization: Bearer ${KEY}`,
      `"${KEY}"`,
      `{"action":"authenticate","data":"${KEY}"`,
      `{"action":"authenticate","data":"${KEY}"}`,
      `{"action":"Authenticate","data":"${KEY}"}`,
      `{"action":"auth","key":"${KEY}"}`,
      `{"action":"login","data":"${KEY}"}`,
      `{"action":"${KEY}"}`,
      `{"action":"authenticate","data":${KEY}}`,
      `{"action":"authenticate","data":["${KEY}"]}`,
      `{"action":"subscribe","data":{"${KEY}":1}}`,
      `{"action":"publish","data":"${KEY}"}`,
      `{"action":"subscribe","data":"t"}${KEY}`,
      `PUBLISH\0${KEY}`,
      `PUBLISH\0"${KEY}"`,
      `PUBLISH\0{"topic":"t"}${KEY}`,
      `PUBLISH\0{"key":"${KEY}"}`,
      `PUBLISH\0{"topic":${KEY}}`,
    ].map((text) => latin1(`${text}\0`));
    const pairs = Array.from(KEY.slice(1), (second, i) => KEY[i]! + second);
    const frame = fc.constantFrom(...spellings);
    fc.assert(
      fc.property(fc.oneof(frame, editedBytes(frame)), (bytes) => {
        const message = violation(bytes)?.message ?? "";
        for (const pair of pairs) assert(!message.includes(pair), message);
      }),
      { numRuns: 1500 },
    );
  });
});

describe("ClientDecoder: bad_message", () => {
  it("refuses at once every first byte that can't begin MESSAGE", () => {
    const ignored = "\0<{ \t\r\n";
    for (let byte = 0; byte < 256; byte++) {
      const isIgnored = ignored.includes(String.fromCharCode(byte));
      const expected = { heard: [], ...(isIgnored ? {} : { error: "bad_message" as const }) };
      const stream = latin1("PUBLISH\0" + String.fromCharCode(byte));
      assertEquals(decodeCut(stream), expected, `byte ${byte}`);
      assertEquals(decodeCut(stream, [8]), expected, `byte ${byte}`);
    }
  });

  it("refuses other frames between PUBLISH and MESSAGE", () => {
    assertRefusedAtOnce("PUBLISH\0P", "bad_message", 'begins with "P"');
    assertRefusedAtOnce("PUBLISH\0<regular-socket/>\0P", "bad_message", 'begins with "P"');
    assertRefusedAtOnce("PUBLISH\0\0[", "bad_message", 'begins with "["');
  });

  it("refuses at once what departs from <regular-socket/> and its NUL", () => {
    const marker = "<regular-socket/>\0";
    for (let length = 1; length < marker.length; length++) {
      for (const wrong of ["x", "{", " ", ...(length === marker.length - 1 ? [] : ["\0"])]) {
        const text = "PUBLISH\0" + marker.slice(0, length) + wrong;
        assertRefusedAtOnce(text, "bad_message", "is not <regular-socket/>");
      }
    }
  });

  it("refuses white space that is followed by anything but an object", () => {
    for (const space of [" ", "\r\n", "\t "]) {
      for (const wrong of ["\0", "<", "P", "[", "\x0b"]) {
        assertRefusedAtOnce(`PUBLISH\0${space}${wrong}`, "bad_message", "begins with ");
        assertRefusedAtOnce(`PUBLISH\0\0${space}${wrong}`, "bad_message", "begins with ");
      }
    }
  });

  it("refuses a NUL anywhere inside the object", () => {
    const message = '{"topic":"events","a":[1,true,{"b":"\\u00e9"}]}';
    for (let at = 1; at < message.length; at++) {
      assertRefusedAtOnce(`PUBLISH\0${message.slice(0, at)}\0`, "bad_message", '"\\x00" at byte');
    }
  });

  it("refuses what isn't JSON at its first wrong byte", () => {
    assertRefusedAtOnce('PUBLISH\0{"topic":x', "bad_message", 'not JSON: "x" at byte 9');
    assertRefusedAtOnce('PUBLISH\0 {"topic":"a",}', "bad_message", 'not JSON: "}" at byte 13');
    assertRefusedAtOnce('PUBLISH\0{"topic":"a\n', "bad_message", 'not JSON: "\\x0a" at byte 11');
    assertRefusedAtOnce('PUBLISH\0{"n":01', "bad_message", 'not JSON: "1" at byte 6');
  });

  it("refuses what isn't UTF-8, wherever it stands", () => {
    for (
      const [before, after] of [['{"topic":"', '"}'], ['{"topic":"a","x":"', '"}'], ['{"', '":1}']]
    ) {
      for (const wrong of ["\xff", "\xc3(", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80"]) {
        const stream = latin1(`PUBLISH\0${before}${wrong}${after}`);
        assertEquals(decodeCut(stream), { heard: [], error: "bad_message" });
        assertEquals(decodeCut(stream, everyByte(stream)), { heard: [], error: "bad_message" });
      }
    }
  });

  it("refuses a missing and a wrong-typed topic", () => {
    for (const message of ["{}", '{"event":"a"}', '{"Topic":"a"}', '{"x":{"topic":"a"}}']) {
      assertRefusedAtOnce(`PUBLISH\0${message}`, "bad_message", "topic is missing");
    }
    for (const value of ["null", "5", "false", '["a"]', '{"topic":"a"}']) {
      assertRefusedAtOnce(`PUBLISH\0{"topic":${value}}`, "bad_message", "topic is not a string");
      const repeated = `PUBLISH\0{"topic":"a","topic":${value}}`;
      assertRefusedAtOnce(repeated, "bad_message", "topic is not a string");
    }
  });

  it("refuses a timestamp at the top level, however it is spelled and whatever it is", () => {
    for (const name of ["timestamp", "\\u0074imestamp", "timestam\\u0070"]) {
      for (const value of ["[1,2,3]", "null", '""']) {
        for (
          const message of [`"topic":"a","${name}":${value}`, `"${name}":${value},"topic":"a"`]
        ) {
          assertRefusedAtOnce(`PUBLISH\0{${message}}`, "bad_message", "has a timestamp");
        }
      }
    }
  });

  it("delivers what came before", () => {
    assertRefused(
      `{"action":"subscribe","data":"a"}\0PUBLISH\0${EVENT}\0PUBLISH\0{}`,
      "bad_message",
      "topic is missing",
      ["subscribe", "a"],
      ["publish", "events", EVENT],
    );
  });
});
