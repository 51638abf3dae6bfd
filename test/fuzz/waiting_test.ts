import fc from "fast-check";
import { describe, it } from "node:test";
import { MAX_MESSAGE_BYTES, play, type Step, type Waiting } from "./waiting.ts";

const index = fc.nat(7);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      does: fc.constant("send" as const),
      publisher: index,
      bytes: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 200_000 })),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ does: fc.constantFrom("stall", "flow" as const), reader: index }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constant("take" as const),
      reader: index,
      bytes: fc.integer({ min: 1, max: 5_000 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constantFrom("reset", "end" as const), publisher: index }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant("memory" as const),
      share: fc.constantFrom(0.3, 0.72, 0.77, 0.87, 0.93, 1.1),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constantFrom("hang", "go on" as const), server: index }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant("turn" as const),
      turns: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant("pass" as const),
      sweeps: fc.integer({ min: 1, max: 6 }),
    }),
  },
);

const size = fc.oneof(fc.nat(200), fc.nat(MAX_MESSAGE_BYTES));

const waiting: fc.Arbitrary<Waiting> = fc.record({
  servers: fc.constantFrom(1, 2, 3),
  answers: fc.constantFrom("at once", "late" as const),
  bufferBytes: fc.constantFrom(4_000, 65_536),
  budgetBytes: fc.constantFrom(60_000, 200_000, 1_000_000),
  pendingBytes: fc.constantFrom(30_000, 200_000),
  publishers: fc.array(fc.array(size, { minLength: 1, maxLength: 3 }), {
    minLength: 1,
    maxLength: 6,
  }),
  asking: fc.nat(6),
  askersRead: fc.boolean(),
  readers: fc.array(fc.constantFrom(500, 20_000, 300_000), { minLength: 1, maxLength: 6 }),
  steps: fc.array(step, { minLength: 60, maxLength: 140, size: "max" }),
});

/** Some 100 steps each: 100,000 in all on both runtimes together. */
const RUNS = 500;

/** Four publishers that send much to the readers of two servers, all at once. */
const bothWays: Waiting = {
  servers: 2,
  answers: "late",
  bufferBytes: 4_000,
  budgetBytes: 200_000,
  pendingBytes: 200_000,
  publishers: [[9_000], [9_000], [9_000], [9_000]],
  asking: 0,
  askersRead: false,
  readers: [20_000, 20_000, 20_000, 20_000],
  steps: [
    ...[0, 1, 2, 3].map((publisher): Step => ({ does: "send", publisher, bytes: 200_000 })),
    { does: "pass", sweeps: 1 },
  ],
};

/** Memory that fills up between two messages of each publisher, and never falls again. */
const full: Waiting = {
  ...bothWays,
  servers: 1,
  publishers: [[9_000], [10]],
  steps: [
    ...[0, 1].map((publisher): Step => ({ does: "send", publisher, bytes: 20_000 })),
    { does: "memory", share: 0.95 },
    { does: "pass", sweeps: 1 },
    ...[0, 1].map((publisher): Step => ({ does: "send", publisher, bytes: 20_000 })),
    { does: "pass", sweeps: 4 },
    { does: "memory", share: 1.1 },
    { does: "pass", sweeps: 4 },
    ...[0, 1].map((publisher): Step => ({ does: "send", publisher, bytes: 20_000 })),
    { does: "pass", sweeps: 4 },
  ],
};

/** Publishers of small messages on two servers, each of which is owed more than it may be. */
const owed: Waiting = {
  ...bothWays,
  budgetBytes: 60_000,
  publishers: [[10], [10], [10], [10], [10], [10]],
  asking: 6,
  steps: [
    ...[0, 1, 2, 3, 4, 5].map((publisher): Step => ({ does: "send", publisher, bytes: 50_000 })),
    { does: "turn", turns: 3 },
    ...[0, 1, 2].map((publisher): Step => ({ does: "reset", publisher })),
    { does: "pass", sweeps: 1 },
  ],
};

/** A process that hangs while the others' publishers send, until more waits for it than may. */
const hung: Waiting = {
  ...bothWays,
  servers: 3,
  budgetBytes: 1_000_000,
  readers: [20_000, 20_000, 20_000, 20_000, 20_000, 20_000],
  steps: [
    { does: "hang", server: 2 },
    ...Array.from({ length: 20 }).flatMap((): Step[] => [
      ...[0, 2, 3].map((publisher): Step => ({ does: "send", publisher, bytes: 200_000 })),
      { does: "pass", sweeps: 1 },
    ]),
  ],
};

/** The same where they ask for receipts, in which it has a part. */
const unanswered: Waiting = {
  ...hung,
  publishers: [[10], [10], [10], [10]],
  asking: 4,
  steps: [
    { does: "hang", server: 2 },
    ...[0, 2, 3].map((publisher): Step => ({ does: "send", publisher, bytes: 100_000 })),
    { does: "pass", sweeps: 1 },
  ],
};

/** A reader of one topic that takes little at a time, on another server than the publishers of both. */
const slow: Waiting = {
  ...bothWays,
  budgetBytes: 1_000_000,
  publishers: [[1], [9_000], [1], [9_000]],
  readers: [300_000, 300_000, 500, 300_000],
  steps: [
    { does: "stall", reader: 2 },
    ...Array.from({ length: 20 }).flatMap((): Step[] => [
      ...[1, 3].map((publisher): Step => ({ does: "send", publisher, bytes: 20_000 })),
      { does: "take", reader: 2, bytes: 5_000 },
      { does: "pass", sweeps: 1 },
    ]),
  ],
};

/** Publishers that each stop within a small frame, until all of them send much at once. */
const begun: Waiting = {
  ...bothWays,
  servers: 1,
  bufferBytes: 65_536,
  budgetBytes: 60_000,
  publishers: Array.from({ length: 6 }, () => [3_000]),
  readers: [300_000, 300_000],
  steps: [2_900, 200_000].flatMap((bytes): Step[] => [
    ...[0, 1, 2, 3, 4, 5].map((publisher): Step => ({ does: "send", publisher, bytes })),
    { does: "pass", sweeps: 4 },
  ]),
};

describe("a game of waiting", () => {
  it("again: a process that hangs", () => play(hung));
  it("again: a process that hangs and owes answers", () => play(unanswered));
  it("again: readers of another topic, beyond a link", () => play(slow));

  it("again: publishers for memory that their own small frames hold", () => play(begun));
  it("again: publishers for memory that never falls", () => play(full));
  it("ends where publishers wait for receipts of one another's servers", () => play(owed));

  it("again: two servers whose links are memory that each of them lacks", () => play(bothWays));

  it("ends, whatever clients do: nothing waits for ever, nor for nothing", {
    timeout: 300_000,
  }, async () => {
    // A game that fails is played again and again to make it smaller, for so long at most.
    const limits = { interruptAfterTimeLimit: 240_000, markInterruptAsFailure: true };
    await fc.assert(fc.asyncProperty(waiting, play), { numRuns: RUNS, ...limits });
  });
});
