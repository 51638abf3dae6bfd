import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "node:test";
import { ClientDecoder, MIN_FRAME_LIMIT_BYTES } from "../../../protocol/client_decoder.ts";
import { DEFAULT_LIMITS, type Heard, latin1, Recorder } from "../client_stream.ts";
import { assertHeard, assertRefused, assertRefusedAtOnce, EVENT, outcome } from "../client_text.ts";

const utf8 = new TextEncoder();

describe("ClientDecoder: the frames of 2009", () => {
  it("hears a subscribe and an unsubscribe", () => {
    assertHeard('<regular-socket/>\0{"action":"subscribe","data":"events"}\0', [
      "subscribe",
      "events",
    ]);
    assertHeard('<regular-socket/>\0{"action":"unsubscribe","data":"events"}\0', [
      "unsubscribe",
      "events",
    ]);
  });

  it("hears a 2009 publisher's MESSAGE as soon as its object is complete", () => {
    assertHeard(`<regular-socket/>\0PUBLISH\0${EVENT}`, ["publish", "events", EVENT]);
    assertHeard(`<regular-socket/>\0PUBLISH\0${EVENT.slice(0, -1)}`);
  });

  it("ignores empty frames, <regular-socket/>, PING and PONG", () => {
    assertHeard("\0\0<regular-socket/>\0PING\0PONG\0\0<regular-socket/>\0<regular-socket/>\0");
  });

  it("ignores empty frames and <regular-socket/> between PUBLISH and MESSAGE", () => {
    for (const between of ["\0", "\0\0\0", "<regular-socket/>\0", "\0<regular-socket/>\0\0"]) {
      assertHeard(`PUBLISH\0${between}${EVENT}`, ["publish", "events", EVENT]);
      assertHeard(`PUBLISH\0${between} ${EVENT}`, ["publish", "events", EVENT]);
    }
  });

  it("hears nothing before a frame's terminator", () => {
    assertHeard('{"action":"subscribe","data":"events"}');
    assertHeard("PUBLISH");
    assertHeard("<regular-socket/>");
    assertHeard("nonsense");
  });
});

describe("ClientDecoder: the extensions", () => {
  it("hears MESSAGEs one behind the other, each terminated", () => {
    const other = '{"data":[1,{"a":null}],"topic":"other"}';
    assertHeard(
      `PUBLISH\0${EVENT}\0PUBLISH\0${other}\0PUBLISH\0${EVENT}`,
      ["publish", "events", EVENT],
      ["publish", "other", other],
      ["publish", "events", EVENT],
    );
  });

  it("lets a connection publish and subscribe", () => {
    assertHeard(
      `{"action":"subscribe","data":"a"}\0PUBLISH\0${EVENT}\0\0PING\0<regular-socket/>\0` +
        '{"action":"unsubscribe","data":"a"}\0',
      ["subscribe", "a"],
      ["publish", "events", EVENT],
      ["unsubscribe", "a"],
    );
  });

  it("hears actions with their members in either order, among others, and spaced", () => {
    for (
      const frame of [
        '{"data":"events","action":"subscribe"}',
        '{"id":[{"action":"x"}],"action":"subscribe","z":null,"data":"events","data2":1}',
        ' \r\n\t{ "action" : "subscribe" , "data" : "events" }\n',
        '{"\\u0061ction":"su\\u0062scribe","d\\u0061ta":"\\u0065vents"}',
        '{"action":"unsubscribe","data":1,"action":"subscribe","data":"events"}',
      ]
    ) {
      assertHeard(`${frame}\0`, ["subscribe", "events"]);
    }
  });

  it("hears MESSAGEs with any further members in any order, byte for byte", () => {
    for (
      const message of [
        '{"topic":"t"}',
        '{"event":1.50,"x":{"timestamp":[1,2,3],"topic":5},"topic":"t","é":"\\ud800"}',
        '{ "topic" :\t"\\u0074"\r\n}',
        '{"topic":"wrong","topic":null,"\\u0074opic":"t"}',
      ]
    ) {
      const bytes = String.fromCharCode(...utf8.encode(message));
      assertHeard(`PUBLISH\0${message}`, ["publish", "t", bytes]);
      assertHeard(`PUBLISH\0${message}\0PING\0`, ["publish", "t", bytes]);
    }
  });

  it("skips JSON's white space around MESSAGE, which isn't part of it", () => {
    const heard: Heard = ["publish", "events", EVENT];
    assertHeard(`PUBLISH\0 \t\r\n${EVENT} \n\r\t\0PUBLISH\0\n${EVENT}\n`, heard, heard);
  });
});

describe("ClientDecoder: topics", () => {
  it("compares topics by what they decode to", () => {
    assertHeard(
      '{"action":"subscribe","data":"\\u0061"}\0{"action":"subscribe","data":"a"}\0' +
        'PUBLISH\0{"topic":"\\u0061"}\0',
      ["subscribe", "a"],
      ["subscribe", "a"],
      ["publish", "a", '{"topic":"\\u0061"}'],
    );
    assertHeard('{"action":"subscribe","data":"\\ud83d\\ude00"}\0', ["subscribe", "😀"]);
    assertHeard('{"action":"subscribe","data":"\\u0000\\u0001\\n"}\0', ["subscribe", "\0\x01\n"]);
    assertHeard('{"action":"subscribe","data":"\ufeffa"}\0', ["subscribe", "\ufeffa"]);
  });

  const fitting = [
    "a".repeat(256),
    "é".repeat(128),
    "€".repeat(85) + "a",
    "😀".repeat(64),
    "\\u0061".repeat(256),
    "\\u00e9".repeat(128),
    "\\ud83d\\ude00".repeat(64),
  ];
  const invalid = [
    ["", "is empty"],
    ...fitting.map((topic) => [topic + "a", "is longer than 256 bytes"]),
    ["\\u0061".repeat(5000), "is longer than 256 bytes"],
    ["\\ud800", "has a lone surrogate"],
    ["\\udc00", "has a lone surrogate"],
    ["a\\udc00\\ud800b", "has a lone surrogate"],
  ] as const;

  it("takes topics of up to 256 bytes in UTF-8", () => {
    for (const topic of fitting) {
      const decoded = JSON.parse(`"${topic}"`);
      assertHeard(`{"action":"subscribe","data":"${topic}"}\0`, ["subscribe", decoded]);
      assertEquals(outcome(`PUBLISH\0{"topic":"${topic}"}`).heard[0]?.[1], decoded);
    }
  });

  it("refuses an invalid topic in an action with bad_frame", () => {
    for (const [topic, problem] of invalid) {
      for (const action of ["subscribe", "unsubscribe"]) {
        assertRefused(`{"action":"${action}","data":"${topic}"}\0`, "bad_frame", problem!);
      }
    }
  });

  it("refuses an invalid topic in MESSAGE with bad_message", () => {
    for (const [topic, problem] of invalid) {
      assertRefusedAtOnce(`PUBLISH\0{"topic":"${topic}"}`, "bad_message", problem!);
    }
  });

  it("knows topics apart when their bytes arrive in the same memory", () => {
    const decoder = new ClientDecoder(DEFAULT_LIMITS);
    const recorder = new Recorder();
    const memory = new Uint8Array(100);
    for (const topic of ["a", "b", "b", "a"]) {
      const frame = latin1(`PUBLISH\0{"topic":"${topic}"}\0`);
      memory.set(frame);
      decoder.push(memory.subarray(0, frame.length), recorder);
    }
    assertEquals(recorder.heard.map(([, topic]) => topic), ["a", "b", "b", "a"]);
  });

  it("takes one topic for another never, however alike they are spelled", () => {
    const topics = ["a", "b", "a", "aa", "a", "\\u0061", "a", "", "a"];
    const heard: Heard[] = topics.slice(0, 7).map((topic) => [
      "publish",
      JSON.parse(`"${topic}"`),
      `{"topic":"${topic}"}`,
    ]);
    const stream = topics.map((topic) => `PUBLISH\0{"topic":"${topic}"}\0`).join("");
    assertRefused(stream, "bad_message", "is empty", ...heard);
    const lastIsMissing = 'PUBLISH\0{"topic":"a"}\0PUBLISH\0{"other":"a"}\0';
    assertRefused(lastIsMissing, "bad_message", "missing", ["publish", "a", '{"topic":"a"}']);
    const lastIsNested = 'PUBLISH\0{"topic":"a"}\0PUBLISH\0{"topic":["a"]}\0';
    assertRefused(lastIsNested, "bad_message", "not a string", ["publish", "a", '{"topic":"a"}']);
  });
});

describe("ClientDecoder: hostile nesting", () => {
  it("takes 32,000 levels in a further member of MESSAGE and of an action", () => {
    const deep = "[".repeat(32_000) + "]".repeat(32_000);
    const message = `{"topic":"a","deep":${deep}}`;
    assertHeard(`PUBLISH\0${message}`, ["publish", "a", message]);
    assertHeard(`{"action":"subscribe","deep":${deep},"data":"a"}\0`, ["subscribe", "a"]);
    const objects = '{"a":'.repeat(10_000) + "0" + "}".repeat(10_000);
    const other = `{"deep":${objects},"topic":"a"}`;
    assertHeard(`PUBLISH\0${other}`, ["publish", "a", other]);
  });

  it("refuses 32,000 levels in a topic like any other value", () => {
    const deep = "[".repeat(32_000) + "]".repeat(32_000);
    assertRefusedAtOnce(`PUBLISH\0{"topic":${deep}}`, "bad_message", "topic is not a string");
  });
});

describe("ClientDecoder: what a session may ask", () => {
  it("knows whether a frame was completed, of any kind", () => {
    for (
      const frame of [
        "",
        "PING",
        "<regular-socket/>",
        "PUBLISH",
        '{"action":"subscribe","data":"a"}',
      ]
    ) {
      const decoder = new ClientDecoder(DEFAULT_LIMITS);
      assertEquals(decoder.completedFrame, false);
      decoder.push(latin1(frame), new Recorder());
      assertEquals(decoder.completedFrame, false);
      decoder.push(latin1("\0"), new Recorder());
      assertEquals(decoder.completedFrame, true);
    }
  });

  it("awaits a terminator from MESSAGE's end until its NUL", () => {
    const decoder = new ClientDecoder(DEFAULT_LIMITS);
    const steps = [
      ["<regular-socket/>\0PUBLISH\0", false],
      [EVENT.slice(0, -1), false],
      ["}", true],
      [" \n", true],
      ["\0", false],
      ["PUBLISH\0", false],
      [EVENT, true],
      ["\0PUBLISH\0", false],
      [`${EVENT}\0`, false],
    ] as const;
    for (const [text, awaits] of steps) {
      decoder.push(latin1(text), new Recorder());
      assertEquals(decoder.awaitsTerminator, awaits, text);
    }
  });

  it("holds nothing between frames, and what has come of one while it is incomplete", () => {
    const subscribe = '{"action":"subscribe","data":"a"}';
    // In turns: what leaves nothing to hold, byte by byte, and what must be held.
    const pieces = [
      "\0",
      "PING",
      "\0",
      "<regular-socket/>",
      "\0\0",
      subscribe,
      "\0",
      "PUBLISH",
      "\0\0<regular-socket/>\0 \n",
      EVENT.slice(0, -1),
      "} \n\0",
      "PUBLISH",
      "\0<regular-socket/>\0",
      EVENT.slice(0, -1),
      "}",
    ];
    const decoder = new ClientDecoder(DEFAULT_LIMITS);
    pieces.forEach((piece, turn) => {
      for (const byte of latin1(piece)) {
        decoder.push(Uint8Array.of(byte), new Recorder());
        assertEquals(decoder.heldBytes > 0, turn % 2 === 1, `piece ${turn}`);
      }
    });
  });

  it("holds at most about a frame for as long as it is incomplete", () => {
    const decoder = new ClientDecoder(DEFAULT_LIMITS);
    const start = latin1('PUBLISH\0{"topic":"a","x":');
    decoder.push(start, new Recorder());
    assert(
      decoder.heldBytes > 0 && decoder.heldBytes <= 1024,
      "a small part held in a small buffer",
    );
    decoder.push(latin1("[".repeat(65_000)), new Recorder());
    const { maxFrameBytes } = DEFAULT_LIMITS;
    assert(decoder.heldBytes >= 65_000 && decoder.heldBytes <= 1.5 * maxFrameBytes);
  });

  it("publishes nothing of a MESSAGE that a reset cuts off", () => {
    for (let length = 0; length < EVENT.length; length++) {
      assertHeard(`<regular-socket/>\0PUBLISH\0${EVENT.slice(0, length)}`);
    }
  });

  it("lets through what the sink throws", () => {
    class Refusal extends Error {}
    const sink = new Recorder();
    sink.onSubscribe = () => {
      throw new Refusal("no");
    };
    const stream = latin1('{"action":"subscribe","data":"a"}\0');
    assertThrows(() => new ClientDecoder(DEFAULT_LIMITS).push(stream, sink), Refusal, "no");
  });

  it("refuses a frame limit that leaves no room for the protocol", () => {
    for (const maxFrameBytes of [MIN_FRAME_LIMIT_BYTES - 1, 0, -1, 64.5, NaN, Infinity]) {
      assertThrows(() => new ClientDecoder({ maxFrameBytes }), RangeError, `not ${maxFrameBytes}`);
    }
    new ClientDecoder({ maxFrameBytes: MIN_FRAME_LIMIT_BYTES });
  });
});

describe("ClientDecoder: a sink that has enough", () => {
  it("is given nothing behind a frame, and that later", () => {
    const frames = [
      '{"action":"subscribe","data":"a"}\0',
      '{"action":"authenticate","data":"k"}\0',
      `PUBLISH\0${EVENT}\0`,
    ];
    for (const tail of ["", '{"action":"subscribe","data":"b"}\0', '{"action":"sub']) {
      const stream = latin1(frames.join("") + tail);
      const decoder = new ClientDecoder(DEFAULT_LIMITS);
      const sink = Object.assign(new Recorder(), { hasEnough: true });
      let taken = decoder.push(stream, sink);
      assertEquals(taken, frames[0]!.length);
      assertEquals(sink.heard, [["subscribe", "a"]]);
      taken += decoder.push(stream.subarray(taken), sink);
      assertEquals(taken, frames[0]!.length + frames[1]!.length);
      assertEquals(sink.heard.length, 2);
      sink.hasEnough = false;
      taken += decoder.push(stream.subarray(taken), sink);
      assertEquals(taken, stream.length);
      assertEquals(sink.heard[2], ["publish", "events", EVENT]);
      assertEquals(sink.heard.length, tail.endsWith("\0") ? 4 : 3);
      assertEquals(decoder.push(latin1("\0".repeat(3)).subarray(3), sink), 0);
    }
  });

  it("has had the terminator of MESSAGE too", () => {
    const frame = `PUBLISH\0${EVENT}\0`;
    for (const demandsTerminator of [false, true]) {
      const decoder = new ClientDecoder({ ...DEFAULT_LIMITS, demandsTerminator });
      const sink = Object.assign(new Recorder(), { hasEnough: false });
      sink.onPublish = () => sink.hasEnough = true;
      assertEquals(decoder.push(latin1(frame + frame), sink), frame.length);
      assert(!decoder.awaitsTerminator);
      assert(!decoder.isLegacy);
    }
  });
});
