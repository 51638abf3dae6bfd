import { assertEquals, assertGreater, assertLessOrEqual } from "@std/assert";
import * as fc from "fast-check";
import { describe, it } from "node:test";
import { CHUNK_OVERHEAD_BYTES } from "../../../server/limits/costs.ts";
import { MAX_BATCH_BYTES } from "../../../server/limits/messages.ts";
import type { MemoryBudget } from "../../../server/flow/memory_budget.ts";
import type { SharedChunk } from "../../../server/flow/shared_chunk.ts";
import type { Subscription } from "../../../server/topics/subscription.ts";
import type { TopicRegistry } from "../../../server/topics/topic_registry.ts";
import type { FairScheduler } from "../../../server/timing/fair_scheduler.ts";
import { FakeSubscriber } from "../../support/memory/fake_subscriber.ts";
import type { Origins } from "../../../server/history/origins.ts";
import { MemoryRuntime } from "../../support/memory/memory_runtime.ts";
import { topicsInMemory } from "../../support/memory/topics_in_memory.ts";

const encoder = new TextEncoder();

/** Topics on a loop that turns when the test says so. */
class Bench {
  readonly net: MemoryRuntime;
  readonly scheduler: FairScheduler;
  readonly budget: MemoryBudget;
  readonly counters: { readonly deliveries: number };
  readonly topics: TopicRegistry;
  readonly #origins: Origins;
  #micros = 1e15;
  /** The number of the next message. */
  next = 0;

  constructor(writesPerTurn = 16) {
    this.net = new MemoryRuntime({ turns: "manual", writesPerTurn });
    const { scheduler, budget, topics, origins, counters } = topicsInMemory(this.net);
    this.scheduler = scheduler;
    this.budget = budget;
    this.topics = topics;
    this.#origins = origins;
    this.counters = counters;
  }

  /** Accepts a message, and returns its number. */
  publish(topic: string, paddingBytes = 0): number {
    const n = this.next++;
    const padding = paddingBytes === 0 ? "" : `,"p":"${"p".repeat(paddingBytes)}"`;
    const message = encoder.encode(`{"n":${n}${padding}}`);
    this.topics.find(topic)?.publish(this.#origins.own, this.#micros++, message);
    return n;
  }

  subscribe(topic: string, count: number): FakeSubscriber[] {
    return Array.from({ length: count }, () => {
      const subscriber = new FakeSubscriber();
      this.topics.subscribe(topic, subscriber);
      return subscriber;
    });
  }
}

/** The messages that one subscriber must get from one topic. */
interface Expectation {
  readonly subscriber: FakeSubscriber;
  readonly subscription: Subscription;
  readonly numbers: number[];
  isOver: boolean;
  /** It was cut off: it may miss the last of them. */
  isCut: boolean;
  /** The number of its chunks when it left: it gets no more. */
  chunksAtEnd: number;
}

describe("a topic", () => {
  const TOPICS = ["a", "b", "c"];
  const command = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant("publish" as const), topic: fc.nat(2) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant("turn" as const),
        count: fc.integer({ min: 1, max: 4 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant("subscribe" as const),
        topic: fc.nat(2),
        count: fc.integer({ min: 1, max: 5 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant("unsubscribe" as const),
        which: fc.nat(),
        deliverRest: fc.boolean(),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant("leave from inside" as const),
        which: fc.nat(),
        whom: fc.nat(),
        deliverRest: fc.boolean(),
      }),
    },
  );

  it("gives each subscriber what was accepted while it was subscribed, once, in order", () => {
    fc.assert(
      fc.property(
        fc.array(command, { maxLength: 150, size: "max" }),
        fc.integer({ min: 1, max: 4 }),
        (commands, writesPerTurn) => {
          const bench = new Bench(writesPerTurn);
          const all: Expectation[] = [];
          const live = (which: number) => {
            const open = all.filter(({ isOver }) => !isOver);
            return open[which % open.length];
          };
          const leave = (expectation: Expectation, deliverRest: boolean) => {
            if (expectation.isOver) return;
            expectation.isOver = true;
            expectation.isCut = !deliverRest;
            const { topic } = expectation.subscription;
            topic.unsubscribe(expectation.subscription, deliverRest);
            expectation.chunksAtEnd = expectation.subscriber.chunkCount;
            // A second time does nothing.
            topic.unsubscribe(expectation.subscription, deliverRest);
          };
          for (const step of commands) {
            switch (step.do) {
              case "publish": {
                const name = TOPICS[step.topic]!;
                const n = bench.publish(name);
                for (const { isOver, subscription, numbers } of all) {
                  if (!isOver && subscription.topic.name === name) numbers.push(n);
                }
                break;
              }
              case "turn":
                for (let i = 0; i < step.count; i++) bench.net.turn();
                break;
              case "subscribe":
                for (let i = 0; i < step.count; i++) {
                  const subscriber = new FakeSubscriber();
                  const subscription = bench.topics.subscribe(TOPICS[step.topic]!, subscriber);
                  all.push({
                    subscriber,
                    subscription,
                    numbers: [],
                    isOver: false,
                    isCut: false,
                    chunksAtEnd: 0,
                  });
                }
                break;
              case "unsubscribe": {
                const whom = live(step.which);
                if (whom !== undefined) leave(whom, step.deliverRest);
                break;
              }
              case "leave from inside": {
                const where = live(step.which);
                const whom = live(step.whom);
                if (where === undefined || whom === undefined) break;
                where.subscriber.reaction = () => leave(whom, step.deliverRest);
                break;
              }
            }
            for (const name of TOPICS) {
              const count = all.filter((e) =>
                !e.isOver && e.subscription.topic.name === name
              ).length;
              assertEquals(bench.topics.find(name)?.subscriberCount ?? 0, count);
            }
          }
          bench.net.settle();
          for (const { subscriber, numbers, isOver, isCut, chunksAtEnd } of all) {
            const expected = isCut ? numbers.slice(0, subscriber.numbers.length) : numbers;
            assertEquals(subscriber.numbers, expected);
            if (isOver) assertEquals(subscriber.chunkCount, chunksAtEnd);
          }
          for (const expectation of all) leave(expectation, true);
          bench.net.settle();
          assertEquals(bench.topics.size, 0);
          assertEquals(bench.budget.heldBytes, 0);
        },
      ),
      { numRuns: 250 },
    );
  });

  it("vanishes with its last subscriber, also with messages on their way", () => {
    const bench = new Bench(1);
    const [one, two] = bench.subscribe("t", 2) as [FakeSubscriber, FakeSubscriber];
    const subscription = bench.topics.subscribe("t", new FakeSubscriber());
    assertEquals(bench.topics.size, 1);
    assertEquals(subscription.topic.subscriberCount, 3);
    const again = new Bench(1);
    const alone = again.topics.subscribe("t", one);
    again.publish("t");
    alone.topic.unsubscribe(alone, false);
    assertEquals(again.topics.size, 0);
    assertEquals(again.topics.find("t"), undefined);
    again.net.settle();
    assertEquals(again.budget.heldBytes, 0);
    assertEquals(one.numbers, []);
    // It may come into being again, and has nothing to do with the one before.
    again.topics.subscribe("t", two);
    const n = again.publish("t");
    again.net.settle();
    assertEquals(two.numbers, [n]);
  });

  it("costs nothing without subscribers, whatever is published to it", () => {
    const bench = new Bench();
    for (let i = 0; i < 1000; i++) bench.publish(`nobody ${i}`);
    assertEquals(bench.topics.size, 0);
    assertEquals(bench.budget.heldBytes, 0);
    assertEquals(bench.net.isSettled, true);
  });

  it("hands a thousand messages of one turn to each subscriber at once", () => {
    const bench = new Bench();
    const subscribers = bench.subscribe("t", 100);
    for (let i = 0; i < 1000; i++) bench.publish("t");
    bench.net.settle();
    for (const { numbers, chunkCount } of subscribers) {
      assertEquals(numbers, Array.from({ length: 1000 }, (_, i) => i));
      assertEquals(chunkCount, 1);
    }
  });

  it("collects for the next pass what comes in while one is under way", () => {
    const bench = new Bench(10);
    const subscribers = bench.subscribe("t", 100);
    for (let i = 0; i < 500; i++) {
      bench.publish("t");
      if (i % 5 === 0) bench.net.turn();
    }
    bench.net.settle();
    for (const { numbers, chunkCount } of subscribers) {
      assertEquals(numbers, Array.from({ length: 500 }, (_, i) => i));
      // 100 turns at 10 writes each: some ten passes, and one or two for the rest.
      assertLessOrEqual(chunkCount, 13);
    }
  });

  it("writes no batch that is much larger than it may be, and loses nothing for it", () => {
    const bench = new Bench();
    const [subscriber] = bench.subscribe("t", 1) as [FakeSubscriber];
    const sizes: number[] = [];
    const deliver = subscriber.deliver.bind(subscriber);
    subscriber.deliver = (chunk: SharedChunk) => {
      sizes.push(chunk.bytes.length);
      return deliver(chunk);
    };
    for (let i = 0; i < 200; i++) bench.publish("t", 30_000);
    bench.net.settle();
    assertEquals(subscriber.numbers.length, 200);
    assertLessOrEqual(Math.max(...sizes), MAX_BATCH_BYTES + 31_000);
    assertGreater(sizes.length, 20);
    assertEquals(bench.budget.heldBytes, 0);
  });

  it("does no more writes in a turn than the runtime's loop bears", () => {
    const bench = new Bench(16);
    const subscribers = bench.subscribe("t", 100);
    bench.publish("t");
    let served = 0;
    for (let turn = 0; served < 100; turn++) {
      bench.net.turn();
      const now = subscribers.filter(({ chunkCount }) => chunkCount > 0).length;
      assertLessOrEqual(now - served, 16);
      if (turn > 0) assertGreater(now, served);
      served = now;
    }
  });

  it("takes turns with others: a small one doesn't wait for a large one to finish", () => {
    const bench = new Bench(16);
    const large = bench.subscribe("large", 10_000);
    const small = bench.subscribe("small", 10);
    const tiny = bench.subscribe("tiny", 1);
    bench.publish("large");
    bench.net.turn();
    for (let round = 0; round < 20; round++) {
      bench.publish("small");
      bench.publish("tiny");
      // Each gets a slice, and the large one its own, before any gets a second one.
      for (let i = 0; i < 4; i++) bench.net.turn();
      for (const { chunkCount } of [...small, ...tiny]) assertEquals(chunkCount, round + 1);
    }
    assertEquals(large.at(-1)!.chunkCount, 0);
    assertGreater(large.filter(({ chunkCount }) => chunkCount > 0).length, 16 * 20);
    bench.net.settle();
    assertEquals(large.filter(({ chunkCount }) => chunkCount === 1).length, 10_000);
  });

  it("holds one buffer for a batch, however many keep it", () => {
    const bench = new Bench();
    const kept: SharedChunk[] = [];
    for (const subscriber of bench.subscribe("t", 50)) {
      subscriber.deliver = (chunk: SharedChunk) => {
        chunk.retain();
        kept.push(chunk);
        return "keeps_up";
      };
    }
    bench.publish("t", 1_000);
    bench.net.settle();
    assertEquals(kept.length, 50);
    assertEquals(bench.budget.heldBytes, kept[0]!.bytes.length + CHUNK_OVERHEAD_BYTES);
    for (const chunk of kept.splice(1)) chunk.release();
    assertEquals(bench.budget.heldBytes, kept[0]!.bytes.length + CHUNK_OVERHEAD_BYTES);
    kept[0]!.release();
    assertEquals(bench.budget.heldBytes, 0);
  });
});
