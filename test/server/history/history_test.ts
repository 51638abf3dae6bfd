import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { matches } from "../../../server/history/history.ts";
import type { Origin } from "../../../server/history/origins.ts";
import { HISTORY_BATCH_BYTES, HISTORY_LOG_BYTES } from "../../../server/limits/costs.ts";
import { MemoryBudget } from "../../../server/flow/memory_budget.ts";
import { MemoryRuntime } from "../../support/memory/memory_runtime.ts";
import { topicsInMemory } from "../../support/memory/topics_in_memory.ts";

const MESSAGE = new TextEncoder().encode('{"n":1}');

/** A message in the model: who accepted it, when, and its bytes. */
interface Told {
  readonly origin: Origin;
  readonly micros: number;
  readonly bytes: number;
}

describe("the history", () => {
  it("stays within its limits whatever is published, and to however many topics", () => {
    const net = new MemoryRuntime({ turns: "manual" });
    const history = { historyMs: 60_000, historyTotalBytes: 200_000, maxTopicsTotal: 300 };
    const budget = new MemoryBudget(1_000_000, {});
    const { topics, origins, counters } = topicsInMemory(net, { history, budget });
    for (let i = 0; i < 5_000; i++) {
      topics.publish(origins.own, `topic ${i}`, 1e15 + i, MESSAGE, undefined);
      net.settle();
      assertLessOrEqual(counters.historyBytes, history.historyTotalBytes);
      assertLessOrEqual(counters.historyTopics, history.maxTopicsTotal);
      assertEquals(topics.size, 0);
    }
    assertEquals(counters.historyGivenUp, 5_000 - counters.historyMessages);
    // What isn't there any more isn't counted either.
    const eachBytes = HISTORY_LOG_BYTES + HISTORY_BATCH_BYTES;
    assert(counters.historyBytes > counters.historyTopics * eachBytes);
    assertLessOrEqual(budget.historyBytes, counters.historyBytes + counters.historyTopics * 200);
    assertEquals([budget.heldBytes, budget.standingBytes], [0, 0]);
  });

  it("makes room for topics with subscribers, the oldest unused first", () => {
    const net = new MemoryRuntime({ turns: "manual" });
    const { topics, origins, history } = topicsInMemory(net, {
      history: { historyMs: 60_000, maxTopicsTotal: 3 },
    });
    for (const topic of ["a", "b", "c"]) {
      topics.publish(origins.own, topic, 1e15, MESSAGE, undefined);
      net.settle();
    }
    const subscriber = {
      deliver: () => "keeps_up" as const,
      fallBehind() {},
      takesMore: true,
      unsentBytes: 0,
      hasUnsent: false,
    };
    topics.subscribe("d", subscriber);
    assertEquals([...history.logs()].map(({ topic }) => topic), ["b", "c"]);
    topics.subscribe("b", subscriber);
    topics.subscribe("e", subscriber);
    assertEquals([...history.logs()].map(({ topic }) => topic), ["b"]);
  });

  it("counts nothing any more when all is too old", () => {
    const net = new MemoryRuntime({ turns: "manual" });
    const { topics, origins, history, clock, counters, budget } = topicsInMemory(net, {
      history: { historyMs: 1_000 },
    });
    for (let i = 0; i < 100; i++) {
      topics.publish(origins.own, `topic ${i % 7}`, 1e15 + i, MESSAGE, undefined);
      if (i % 3 === 0) net.settle();
    }
    net.settle();
    assertEquals([counters.historyMessages, counters.historyTopics], [100, 7]);
    clock.nowMs += 1_000;
    history.sweep();
    assertEquals([counters.historyMessages, counters.historyTopics], [0, 0]);
    assertEquals(counters.historyGivenUp, 0);
    history.giveUp(Infinity);
    assertEquals([counters.historyBytes, budget.historyBytes], [0, 0]);
  });

  it("answers a position as a plain list of all messages would", () => {
    const step = fc.record({
      origin: fc.nat(2),
      padding: fc.constantFrom(0, 0, 50, 400),
      settles: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60, size: "max" }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 60, max: 6_000 }),
        fc.array(fc.option(fc.nat(70)), { minLength: 3, maxLength: 3 }),
        (steps, historyMessages, historyBytes, hads) => {
          const net = new MemoryRuntime({ turns: "manual" });
          const { topics, origins } = topicsInMemory(net, {
            history: { historyMs: 60_000, historyMessages, historyBytes },
            hasOtherOrigins: true,
          });
          const all = [
            origins.own,
            origins.learn("a".repeat(16), 0),
            origins.learn("b".repeat(16), 0),
          ];
          const told: Told[] = [];
          const topic = topics.open("t");
          for (const [i, { origin, padding, settles }] of steps.entries()) {
            const message = new TextEncoder().encode(`{"n":${i},"p":"${"p".repeat(padding)}"}`);
            const micros = 1e15 + i;
            all[origin]!.micros = micros;
            topics.publish(all[origin]!, "t", micros, message, undefined);
            const bytes = `{"timestamp":[1000,0,${i}],`.length + message.length;
            told.push({ origin: all[origin]!, micros, bytes });
            if (settles) net.settle();
          }
          net.settle();

          // What the limits leave, counted from the newest.
          let bytes = 0;
          let kept = 0;
          for (const { bytes: each } of told.toReversed()) {
            bytes += each;
            if (bytes > historyBytes || kept === historyMessages) break;
            kept++;
          }
          const had = new Map<Origin, number>();
          for (const [i, back] of hads.entries()) {
            const origin = all[i]!;
            if (back !== null) had.set(origin, Math.min(1e15 + back, origin.micros));
          }
          const isMissed = ({ origin, micros }: Told) => micros > (had.get(origin) ?? -1);
          const stored = told.slice(told.length - kept);
          const missed = stored.filter(isMissed);
          const isGone = told.slice(0, told.length - kept).some(isMissed);

          const position = new Map([...had].map(([{ name }, micros]) => [name, micros]));
          const found = topics.open("t").search({ from: "at", position });
          assertEquals(found.reason, isGone ? "too_old" : "ok");
          assertEquals(found.missed, isGone ? 0 : missed.length);
          assertEquals(found.missedBytes, isGone ? 0 : missed.reduce((sum, m) => sum + m.bytes, 0));
          assertEquals(topic.name, "t");
          for (const { origin, micros } of isGone ? [] : missed) {
            assert(found.at.get(origin.name)! < micros, "the position is behind what follows");
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("a pattern of topics", () => {
  it("matches as a regular expression would", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "*"), maxLength: 8 });
    fc.assert(fc.property(text, text, (pattern, topic) => {
      const source = pattern.split("*").join("[^]*");
      assertEquals(matches(pattern, topic), new RegExp(`^${source}$`).test(topic));
    }));
  });
});
