import { assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { encodeResumingSubscribe } from "../../protocol/client_encoder.ts";
import { encodeFrom, encodeResume } from "../../protocol/encoder.ts";
import type { ResumeReason, ResumeRequest } from "../../protocol/resume.ts";
import { topicProblem } from "../../protocol/topic.ts";
import { anyText } from "../support/any_text.ts";
import { decodeCut, isLegacyCut, latin1, violation } from "./client_stream.ts";

const origin = fc.string({
  unit: fc.constantFrom(..."0123456789abcdef"),
  minLength: 16,
  maxLength: 16,
});
const micros = fc.maxSafeNat();
const position = fc.array(fc.tuple(origin, micros), { maxLength: 12 }).map((all) => new Map(all));
const request: fc.Arbitrary<ResumeRequest> = fc.oneof(
  fc.constant<ResumeRequest>({ from: "new" }),
  fc.integer({ min: 1, max: 1_000 }).map((count): ResumeRequest => ({ from: "last", count })),
  position.map((position): ResumeRequest => ({ from: "at", position })),
);
const topic = anyText().filter((topic) => topicProblem(topic) === undefined);

function subscribe(resume: string): Uint8Array {
  return latin1(`{"action":"subscribe","data":"a","resume":${resume}}\0`);
}

/** What a `resume` means, told in the simplest way; `undefined` for a bad frame. */
function meaning(resume: unknown): ResumeRequest | undefined {
  if (typeof resume !== "object" || resume === null || Array.isArray(resume)) return undefined;
  const { last, at, ...others } = resume as Record<string, unknown>;
  if (Object.keys(others).length > 0 || last !== undefined && at !== undefined) return undefined;
  if (last !== undefined) {
    const isCount = typeof last === "number" && last % 1 === 0 && last > 0 && last < 1_001;
    return isCount ? { from: "last", count: last } : undefined;
  }
  if (at === undefined) return { from: "new" };
  if (typeof at !== "object" || at === null || Array.isArray(at)) return undefined;
  const entries = Object.entries(at);
  if (entries.length > 256) return undefined;
  for (const [name, micros] of entries) {
    if (!/^[0-9a-f]{16}$/.test(name) || !Number.isSafeInteger(micros) || micros < 0) {
      return undefined;
    }
  }
  return { from: "at", position: new Map(entries) };
}

describe("a subscribe with resume", () => {
  it("is decoded as it was encoded, wherever the stream is cut", () => {
    fc.assert(fc.property(topic, request, fc.nat(), fc.nat(), (topic, request, a, b) => {
      const frame = encodeResumingSubscribe(topic, request);
      const cuts = [a % (frame.length + 1), b % (frame.length + 1)].sort((x, y) => x - y);
      assertEquals(decodeCut(frame, cuts), { heard: [["resume", topic, request]] });
    }));
  });

  it("is a bad frame unless it's one of the three", () => {
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      fc.record({
        last: fc.oneof(fc.integer(), fc.double(), fc.constantFrom("1", null, 0, 1_001)),
      }),
      fc.record({
        at: fc.oneof(
          fc.jsonValue({ maxDepth: 1 }),
          fc.dictionary(
            fc.oneof(origin, fc.string()),
            fc.oneof(micros, fc.integer(), fc.double(), fc.constantFrom("1", null)),
            { maxKeys: 3 },
          ),
        ),
      }),
      fc.record({ last: fc.constant(1), at: fc.constant({}) }),
      fc.record({ last: fc.constant(1), more: fc.constant(1) }),
    );
    fc.assert(
      fc.property(value, (value) => {
        const text = JSON.stringify(value);
        const frame = new TextEncoder().encode(
          `{"action":"subscribe","data":"a","resume":${text}}\0`,
        );
        const expected = meaning(JSON.parse(text));
        assertEquals(
          decodeCut(frame),
          expected === undefined
            ? { heard: [], error: "bad_frame" }
            : { heard: [["resume", "a", expected]] },
        );
      }),
      { numRuns: 1_000 },
    );
  });

  it("names 256 origins at most", () => {
    const at = (count: number) => {
      const names = Array.from({ length: count }, (_, n) => n.toString(16).padStart(16, "0"));
      return `{"at":{${names.map((name) => `"${name}":1`).join(",")}}}`;
    };
    assertEquals(decodeCut(subscribe(at(256))).error, undefined);
    assertEquals(violation(subscribe(at(257)))?.code, "bad_frame");
    assertStringIncludes(violation(subscribe(at(257)))!.message, "more than 256 origins");
  });

  it("asks for 1 to 1,000 stored messages", () => {
    for (const last of ["1", "1000", "1e3", "1.0"]) {
      assertEquals(decodeCut(subscribe(`{"last":${last}}`)).error, undefined, last);
    }
    for (const last of ["0", "1001", "-1", "1.5", '"1"', "null", "true", "[1]", "{}"]) {
      assertEquals(decodeCut(subscribe(`{"last":${last}}`)).error, "bad_frame", last);
    }
  });

  it("makes a client of 2009 one of today, and an unsubscribe ignores it", () => {
    const marker = latin1("<regular-socket/>\0");
    assertEquals(isLegacyCut(new Uint8Array([...marker, ...subscribe("{}")])), false);
    const unsubscribe = latin1('{"action":"unsubscribe","data":"a","resume":7}\0');
    assertEquals(decodeCut(unsubscribe), { heard: [["unsubscribe", "a"]] });
    assertEquals(isLegacyCut(new Uint8Array([...marker, ...unsubscribe])), true);
  });
});

describe("the server's answer to it", () => {
  const decoder = new TextDecoder("utf-8", { fatal: true });

  it("says the topic, the reason and the position, in one frame", () => {
    const reasons = ["new", "ok", "off", "too_old", "unknown_origin", "gap"] as const;
    fc.assert(
      fc.property(
        topic,
        fc.constantFrom<ResumeReason>(...reasons),
        fc.nat(),
        position,
        fc.array(origin, { maxLength: 2 }),
        (topic, reason, missed, at, crashed) => {
          const bytes = encodeResume(1e15, { topic, reason, missed, at, crashed });
          assertEquals(bytes.indexOf(1), bytes.length - 1);
          const frame = JSON.parse(decoder.decode(bytes.subarray(0, -1)));
          assertEquals(frame, {
            timestamp: [1000, 0, 0],
            resume: {
              topic,
              recovered: reason === "ok",
              reason,
              missed,
              at: Object.fromEntries(at),
              ...(crashed.length === 0 ? {} : { crashed }),
            },
          });
        },
      ),
    );
  });

  it("has its members in the order of the protocol", () => {
    const bytes = encodeResume(1_790_000_000_000_001, {
      topic: "events",
      reason: "ok",
      missed: 2,
      at: new Map([["00f1e2d3c4b5a697", 1_789_999_999_999_999]]),
      crashed: ["ffffffffffffffff"],
    });
    assertEquals(
      decoder.decode(bytes),
      '{"timestamp":[1790,0,1],"resume":{"topic":"events","recovered":true,"reason":"ok",' +
        '"missed":2,"at":{"00f1e2d3c4b5a697":1789999999999999},"crashed":["ffffffffffffffff"]}}\x01',
    );
    assertEquals(
      decoder.decode(encodeFrom(1_790_000_000_000_001, "events", "00f1e2d3c4b5a697")),
      '{"timestamp":[1790,0,1],"from":{"topic":"events","origin":"00f1e2d3c4b5a697"}}\x01',
    );
  });
});
