import fc from "fast-check";
import { describe, it } from "node:test";
import process from "node:process";
import { type Play, play, type Step } from "./resuming.ts";

/** Further runs, for a longer search than that of every day. */
const RUNS = Number(process.env["HOTWHEELS_RESUME_RUNS"] ?? 112);
const STEPS = 450;

const choice = fc.nat(11);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.record({ does: fc.constant("publish" as const), process: choice, topic: choice }),
  },
  { weight: 26, arbitrary: fc.record({ does: fc.constant("turn" as const) }) },
  { weight: 4, arbitrary: fc.record({ does: fc.constant("settle" as const) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("pass" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constantFrom("killed", "join", "join", "retired", "hurried", "hurried" as const),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({ does: fc.constant("come" as const), client: choice, process: choice }),
  },
  {
    weight: 9,
    arbitrary: fc.record({
      does: fc.constantFrom("cut", "stall", "flow" as const),
      client: choice,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant("take" as const),
      client: choice,
      bytes: fc.integer({ min: 1, max: 400 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constantFrom("resubscribe", "leave" as const),
      client: choice,
      topic: choice,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constant("last" as const),
      client: choice,
      topic: choice,
      count: fc.constantFrom(1, 4, 20),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ does: fc.constant("hang" as const), process: choice }),
  },
  { weight: 3, arbitrary: fc.record({ does: fc.constant("wake" as const) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("lie" as const), process: choice }) },
);

const script: fc.Arbitrary<Play> = fc.record({
  processes: fc.integer({ min: 1, max: 3 }),
  clients: fc.integer({ min: 1, max: 5 }),
  bufferBytes: fc.constantFrom(60, 700, 65_536),
  linkBytes: fc.constantFrom(90, 400, 65_536),
  softPendingBytes: fc.constantFrom(200, 2_000, 1_048_576),
  historyMessages: fc.constantFrom(6, 30, 100_000),
  historyMs: fc.constantFrom(2_000, 60_000, 60_000),
  writesPerTurn: fc.constantFrom(1, 2, 16),
  answers: fc.constantFrom("at once", "late" as const),
  steps: fc.array(step, { minLength: STEPS, maxLength: STEPS }),
});

describe("clients that come back, by the model", () => {
  it(
    "get all that they missed, once, or are told that they don't, on any process",
    { timeout: 240_000 },
    async () => {
      await fc.assert(fc.asyncProperty(script, play), { numRuns: RUNS, endOnFailure: true });
    },
  );
});
