import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { decodeCut, DEFAULT_LIMITS, everyByte, latin1 } from "../client_stream.ts";
import { assertAsModel } from "../naive_model.ts";

const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);

/** Messages that begin alike, and go on in every way that changes what is known of their topic, or nearly. */
const MESSAGES: readonly string[] = [
  '{"topic":"t"}',
  '{"topic":"t","data":"x"}',
  '{"topic":"t","data":"\\"}\\u0000"}',
  '{"topic":"t", "data" : [1,{"topic":"inner"},{"timestamp":0}]}',
  '{"topic":"t","topic":"u"}',
  '{"topic":"t","topic":"u","data":1}',
  '{"topic":"t","topic":"t"}',
  '{"topic":"t","\\u0074opic":"v"}',
  '{"topic":"tt"}',
  '{"topic":"t\\u0074"}',
  '{"topic":"\\u0074","data":1}',
  '{"topic" :"t"}',
  '{"data":{"topic":"u"},"topic":"t"}',
  '{"data":{"topic":"u"},"topic":"t","more":2}',
  `{"deep":${nested(33)},"topic":"t"}`,
  `{"deep":${nested(33)},"topic":"t","deeper":${nested(65)}}`,
  `{"topic":"t","deep":${nested(64)}}`,
];

const FAULTS: readonly string[] = [
  '{"topic":"t","timestamp":0}',
  '{"topic":"t","data":1,"timest\\u0061mp":0}',
  '{"topic":"t","topic":1}',
  '{"topic":"t","topic":""}',
  '{"topic":"t"x',
  '{"topic":"t",}',
  '{"topic":"t"]',
  '{"topic":"t""data":1}',
  '{"topic":"t","data":"\u0001"}',
];

describe("ClientDecoder, of messages that begin alike", () => {
  it("hears what it would of each alone, and refuses the same", () => {
    const message = fc.constantFrom(...MESSAGES);
    // The same again and again, which is what a client sends, and others between.
    const run = fc.tuple(message, fc.integer({ min: 1, max: 3 }))
      .map(([text, times]) => Array<string>(times).fill(text));
    const last = fc.constantFrom(...MESSAGES, ...FAULTS);
    const terminator = fc.constantFrom("\0", "\0", " \0", "\0PING\0");
    const sequence = fc.tuple(fc.array(run, { maxLength: 5 }), last, terminator);
    fc.assert(
      fc.property(sequence, fc.integer({ min: 1, max: 120 }), ([runs, final, end], size) => {
        const text = [...runs.flat(), final].map((one) => `PUBLISH\0${one}${end}`).join("");
        const stream = latin1(text);
        const whole = decodeCut(stream);
        assertAsModel(stream, whole, DEFAULT_LIMITS.maxFrameBytes);
        const cuts = everyByte(stream).filter((offset) => offset % size === 0);
        assertEquals(decodeCut(stream, cuts), whole);
      }),
      { numRuns: 400 },
    );
  });
});
