import fc from "fast-check";
import { describe, it } from "node:test";
import { SCENARIOS } from "../corpus/scenarios.ts";
import { play, type Scenario, type Step } from "./scenario.ts";

const topic = fc.constantFrom("a", "b", "c", "d", "\\u0061", "\xc3\xa9");

const message = fc.tuple(topic, fc.nat(99), fc.constantFrom("", ',"p":"' + "x".repeat(60) + '"'))
  .map(([topic, n, more]) => `{"topic":"${topic}","data":${n}${more}}`);

/** Pieces of a client's stream: the most are right, so that something comes of it. */
const piece = fc.oneof(
  { weight: 12, arbitrary: topic.map((name) => `{"action":"subscribe","data":"${name}"}\0`) },
  { weight: 5, arbitrary: topic.map((name) => `{"data":"${name}","action":"unsubscribe"}\0`) },
  { weight: 20, arbitrary: message.map((text) => `PUBLISH\0${text}\0`) },
  { weight: 8, arbitrary: message.map((text) => `{"action":"publish","data":${text}}\0`) },
  { weight: 2, arbitrary: message.map((text) => `<regular-socket/>\0PUBLISH\0${text}`) },
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      "\0",
      "PING\0",
      "PONG\0",
      "<regular-socket/>\0",
      '{"action":"authenticate","data":"key"}\0',
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "nonsense\0",
      "\x01",
      "PUBLISH\0",
      "PUBLISH\0[1]\0",
      'PUBLISH\0{"topic":"a","timestamp":0}\0',
      'PUBLISH\0{"topic":"\xff"}\0',
      '{"action":"subscribe","data":""}\0',
      '{"action":"publish","data":{"topic":1}}\0',
      "y".repeat(200),
      `PUBLISH\0{"topic":"a","data":"${"z".repeat(160)}"}\0`,
    ),
  },
);

/** Frames of a client of 2009, right or wrong, and in the end a new one. */
const legacyStream = fc.tuple(
  fc.array(
    fc.oneof(
      topic.map((name) => `{"action":"subscribe","data":"${name}"}\0`),
      topic.map((name) => `{"action":"unsubscribe","data":"${name}"}\0`),
      fc.constant("PING\0"),
    ),
    { maxLength: 6 },
  ),
  fc.oneof(
    { weight: 4, arbitrary: fc.constant("") },
    { weight: 3, arbitrary: message.map((text) => `<regular-socket/>\0PUBLISH\0${text}`) },
    { weight: 2, arbitrary: piece.map((text) => `<regular-socket/>\0${text}`) },
    { weight: 1, arbitrary: fc.tuple(piece, piece).map((pieces) => pieces.join("")) },
    { weight: 1, arbitrary: fc.nat(17).map((bytes) => "<regular-socket/>\0".slice(0, bytes)) },
  ),
).map(([frames, last]) => frames.map((frame) => `<regular-socket/>\0${frame}`).join("") + last);

const CLIENTS = 4;
const client = fc.nat(CLIENTS - 1);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      client,
      does: fc.constant("send" as const),
      bytes: fc.integer({ min: 1, max: 150 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      client,
      does: fc.constant("wait" as const),
      turns: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      client,
      does: fc.constant("take" as const),
      bytes: fc.integer({ min: 1, max: 90 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ client, does: fc.constantFrom("stall", "flow" as const) }) },
  { weight: 1, arbitrary: fc.record({ client, does: fc.constantFrom("end", "reset" as const) }) },
);

/** On each runtime, so that they are twice as many in all. */
const RUNS = 750;

const many = { minLength: CLIENTS, maxLength: CLIENTS };

const scenario: fc.Arbitrary<Scenario> = fc.record({
  streams: fc.array(
    fc.oneof(
      {
        weight: 2,
        arbitrary: fc.array(piece, { maxLength: 14, size: "max" }).map((all) => all.join("")),
      },
      { weight: 1, arbitrary: legacyStream },
    ),
    many,
  ),
  bufferBytes: fc.array(fc.constantFrom(1, 40, 200, 65_536), many),
  answers: fc.constantFrom("at once", "late" as const),
  writesPerTurn: fc.constantFrom(1, 2, 16),
  steps: fc.array(step, { maxLength: 50, size: "max" }),
});

describe("sessions, by the model", () => {
  for (const { why, ...scenario } of SCENARIOS) {
    it(`again: ${why}`, () => play(scenario));
  }

  it(
    "give each client what it must get, whatever all of them do",
    { timeout: 60_000 },
    async () => {
      await fc.assert(fc.asyncProperty(scenario, play), { numRuns: RUNS });
    },
  );
});
