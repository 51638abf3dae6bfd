import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { isOwnHalf } from "../../support/processes/tested_runtimes.ts";
import { decodeCut, everyByte, latin1 } from "../client_stream.ts";
import { editedBytes, objectText } from "../json/arbitraries.ts";
import { assertAsModel } from "../naive_model.ts";

const utf8 = new TextEncoder();
const EVENT = '{"topic":"events","event":"test_event","message_id":"","data":"test"}';

const STREAMS: readonly Uint8Array[] = [
  ...[
    `<regular-socket/>\0{"action":"subscribe","data":"events"}\0PONG\0`,
    `<regular-socket/>\0PUBLISH\0${EVENT}`,
    `PUBLISH\0${EVENT}\0PUBLISH\0${EVENT}\0{"action":"unsubscribe","data":"events"}\0`,
    `PUBLISH\0\0<regular-socket/>\0\0 \r\n\t${EVENT} \n\0<regular-socket/>\0PUBLISH\0{"topic":"é€😀"}`,
    `PUBLISH\0{"\\u0074opic":"\\ud83d\\ude00","n":[-0.5e+10,true,false,null,{"timestamp":{}}]}\0`,
    `PUBLISH\0{"topic":"a","topic":"b"}\0PUBLISH\0{"topic":"b","topic":"a"}\0PUBLISH\0{"topic":"a"}`,
    `{"action":"subscribe","data":"\ufeffü"}\0 {"data":"x","z":[[]],"action":"unsubscribe"}\n\0PING\0`,
    `PING\0PANG\0PING\0`,
    `{"action":"subscribe","data":"a"}\0{"action":"subscribe"}\0PING\0`,
    `PUBLISH\0${EVENT}\0PUBLISH\0{"topic":"a",}\0`,
    `PUBLISH\0${EVENT}PING\0`,
    `PUBLISH\0 \0${EVENT}`,
    `PUBLISH\0<regular-socket>\0${EVENT}`,
    `PUBLISH\0{"topic":"a","timest\\u0061mp":0}\0PING\0`,
  ].map((text) => utf8.encode(text)),
  latin1('PUBLISH\0{"topic":"a"}\0PUBLISH\0{"topic":"\xe2\x82"}\0'),
  latin1('{"action":"subscribe","data":"\xed\xa0\x80"}\0PING\0'),
];

describe("ClientDecoder, however the stream is cut", () => {
  it("hears the same cut at every pair of places", () => {
    for (const stream of STREAMS) {
      const whole = decodeCut(stream);
      const text = JSON.stringify(whole);
      assertAsModel(stream, whole, 64 * 1024);
      for (let first = 0; first <= stream.length; first++) {
        if (!isOwnHalf(first)) continue;
        for (let second = first; second <= stream.length; second++) {
          const cut = decodeCut(stream, [first, second]);
          // What compares deeply takes longer than the decoder.
          if (JSON.stringify(cut) !== text) assertEquals(cut, whole);
        }
      }
    }
  });

  it("hears the same byte by byte, and in pieces of each size", () => {
    for (const stream of STREAMS) {
      const whole = decodeCut(stream);
      for (let size = 1; size < stream.length; size++) {
        const cuts = everyByte(stream).filter((offset) => offset % size === 0);
        assertEquals(decodeCut(stream, cuts), whole);
      }
    }
  });

  it("hears something, and is refused, in these streams", () => {
    const outcomes = STREAMS.map((stream) => decodeCut(stream));
    assertEquals(outcomes.map(({ heard }) => heard.length), [
      1,
      1,
      3,
      2,
      1,
      3,
      2,
      0,
      1,
      1,
      1,
      0,
      0,
      0,
      1,
      0,
    ]);
    assertEquals(outcomes.filter(({ error }) => error !== undefined).length, 9);
  });

  const topic = fc.constantFrom('"a"', '"\\u0061"', '"é"', '""', '"\\ud800"', "1");
  const action = fc.tuple(
    fc.constantFrom("subscribe", "unsubscribe", "publish", "authenticate"),
    topic,
  )
    .map(([name, data]) => `{"action":"${name}","data":${data}}\0`);
  const space = fc.constantFrom("", "", " ", "\r\n", " ".repeat(64), " ".repeat(65));
  const between = fc.constantFrom(
    "",
    "",
    "\0",
    "<regular-socket/>\0",
    "<regular-socket/>",
    "PING\0",
  );
  const message = fc.oneof(
    topic.map((value) => `{"topic":${value},"event":"x"}`),
    topic.map((value) => `{"timestamp":1,"topic":${value}}`),
    objectText,
  );
  const terminator = fc.constantFrom("\0", "\0", "");
  const publish = fc.tuple(between, space, message, space, terminator)
    .map((parts) => `PUBLISH\0${parts.join("")}`);
  const publishForReceipt = fc.tuple(space, message, space)
    .map((parts) => `{"data":${parts.join("")},"action":"publish"}\0`);
  const piece = fc.oneof(
    { weight: 2, arbitrary: fc.constantFrom("\0", "PING\0", "PONG\0", "<regular-socket/>\0") },
    { weight: 4, arbitrary: action },
    { weight: 6, arbitrary: publish },
    { weight: 3, arbitrary: publishForReceipt },
    { weight: 1, arbitrary: fc.tuple(space, objectText, space).map((all) => `${all.join("")}\0`) },
    { weight: 1, arbitrary: fc.string({ maxLength: 8 }) },
  );
  const stream = fc.array(piece, { maxLength: 6 }).map((pieces) => utf8.encode(pieces.join("")));
  const marks = fc.array(fc.nat(), { maxLength: 6 });

  function cutsAt(marks: readonly number[], stream: Uint8Array): number[] {
    return marks.map((mark) => mark % (stream.length + 1)).sort((a, b) => a - b);
  }

  it("agrees with a naive model on random streams, cut at random", () => {
    fc.assert(
      fc.property(fc.oneof(stream, editedBytes(stream)), marks, (bytes, marks) => {
        for (const maxFrameBytes of [64, 64 * 1024]) {
          const limits = { maxFrameBytes };
          const whole = decodeCut(bytes, [], limits);
          assertAsModel(bytes, whole, maxFrameBytes);
          assertEquals(decodeCut(bytes, cutsAt(marks, bytes), limits), whole);
          assertEquals(decodeCut(bytes, everyByte(bytes), limits), whole);
        }
      }),
      { numRuns: 750 },
    );
  });

  it("never fails but with a ProtocolError on random bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), marks, (bytes, marks) => {
      for (const start of ["", "PUBLISH\0", 'PUBLISH\0{"topic":"']) {
        const stream = Uint8Array.of(...latin1(start), ...bytes);
        const outcome = decodeCut(stream, cutsAt(marks, stream));
        assertAsModel(stream, outcome, 64 * 1024);
        assert(outcome.error !== "frame_too_large");
      }
    }));
  });
});
