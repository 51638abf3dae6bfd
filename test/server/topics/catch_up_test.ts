import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import type { Position } from "../../../protocol/resume.ts";
import type { SharedChunk } from "../../../server/flow/shared_chunk.ts";
import type { Lag, Subscriber } from "../../../server/topics/subscriber.ts";
import { MemoryRuntime } from "../../support/memory/memory_runtime.ts";
import { topicsInMemory } from "../../support/memory/topics_in_memory.ts";

const utf8 = new TextEncoder();

/** So large that a batch with it isn't joined with others. */
const LARGE = "x".repeat(40_000);

/** A subscriber that takes a chunk, and no more until the test says so. */
class SlowSubscriber implements Subscriber {
  readonly numbers: number[] = [];
  readonly unsentBytes = 0;
  hasUnsent = false;
  flows = false;
  isBehind = false;

  /** The number of messages up to which little waits for it. */
  fewMessages = 0;

  get takesMore(): boolean {
    return !this.hasUnsent || this.numbers.length < this.fewMessages;
  }

  fallBehind(): void {
    this.isBehind = true;
  }

  deliver({ bytes }: SharedChunk): Lag {
    this.hasUnsent = !this.flows;
    const text = new TextDecoder().decode(bytes);
    for (const [, number] of text.matchAll(/"n":(\d+)/g)) this.numbers.push(Number(number));
    return "keeps_up";
  }
}

describe("a subscription that ends while it catches up", () => {
  for (const origins of [1, 2]) {
    it(`gets nothing that came after that, of ${origins} processes`, () => {
      const net = new MemoryRuntime({ turns: "manual" });
      const bed = topicsInMemory(net, { history: { historyMs: 60_000 } });
      const all = [bed.origins.own, bed.origins.learn("a".repeat(16), 0)];
      const publish = (n: number, filling = "") => {
        const message = utf8.encode(JSON.stringify({ n, filling }));
        bed.topics.publish(all[n % origins]!, "t", 1e15 + n, message, undefined);
        net.settle();
      };
      publish(1, LARGE);
      publish(2);
      const subscriber = new SlowSubscriber();
      const topic = bed.topics.open("t");
      const subscription = topic.resume(subscriber, topic.search({ from: "last", count: 10 }));
      net.settle();
      assertEquals(subscriber.numbers, [1]);
      publish(3);
      topic.unsubscribe(subscription, true);
      for (let n = 4; n < 8; n++) publish(n);
      subscriber.hasUnsent = false;
      subscriber.flows = true;
      bed.catchUps.onDrain(subscriber, "reads");
      net.settle();
      assertEquals(subscriber.numbers, [1, 2, 3]);
      assertEquals(bed.catchUps.isEmpty, true);
    });
  }
});

describe("subscriptions that catch up", () => {
  it("each get a chunk of what is stored when their subscriber has taken the ones before", () => {
    const net = new MemoryRuntime({ turns: "manual" });
    const bed = topicsInMemory(net, { history: { historyMs: 60_000 } });
    const names = ["t", "u"];
    for (const n of [1, 2, 3]) {
      for (const [i, name] of names.entries()) {
        const message = utf8.encode(JSON.stringify({ n: 10 * i + n, filling: LARGE }));
        bed.topics.publish(bed.origins.own, name, 1e15 + 10 * i + n, message, undefined);
        net.settle();
      }
    }
    const subscriber = new SlowSubscriber();
    subscriber.fewMessages = 5;
    const drain = () => {
      subscriber.hasUnsent = false;
      bed.catchUps.onDrain(subscriber, "reads");
      net.settle();
    };
    for (const name of names) {
      const topic = bed.topics.open(name);
      topic.resume(subscriber, topic.search({ from: "last", count: 10 }));
    }
    net.settle();
    assertEquals(subscriber.numbers, [1, 11]);
    drain();
    assertEquals(subscriber.numbers, [1, 11, 2, 12]);
    // More than a little would wait for it.
    subscriber.fewMessages = 0;
    drain();
    assertEquals(subscriber.numbers, [1, 11, 2, 12, 3]);
    drain();
    drain();
    assertEquals([subscriber.numbers.at(-1), bed.catchUps.isEmpty], [13, true]);
  });
});

describe("a subscription that catches up behind a position", () => {
  /** A topic that stores three messages, and has some of two processes. */
  function start() {
    const net = new MemoryRuntime({ turns: "manual" });
    const bed = topicsInMemory(net, { history: { historyMs: 60_000, historyMessages: 3 } });
    const { origins } = bed;
    const publish = (origin: typeof origins.own, n: number) => {
      const message = utf8.encode(JSON.stringify({ n, filling: LARGE }));
      origin.micros = 1e15 + n;
      bed.topics.publish(origin, "t", origin.micros, message, undefined);
      net.settle();
    };
    const subscriber = new SlowSubscriber();
    const resume = (position: Position) => {
      const topic = bed.topics.open("t");
      topic.resume(subscriber, topic.search({ from: "at", position }));
      net.settle();
    };
    const drain = () => {
      subscriber.hasUnsent = false;
      subscriber.flows = true;
      bed.catchUps.onDrain(subscriber, "reads");
      net.settle();
    };
    const { own } = origins;
    const other = origins.learn("a".repeat(16), 0);
    publish(own, 1);
    publish(other, 2);
    publish(own, 3);
    return { origins, own, other, publish, subscriber, resume, drain };
  }

  it("needs no messages any more that the client has had", () => {
    const { own, other, publish, subscriber, resume, drain } = start();
    resume(new Map([[own.name, 1e15], [other.name, 1e15 + 2]]));
    assertEquals(subscriber.numbers, [1]);
    publish(own, 4);
    publish(own, 5);
    drain();
    assertEquals([subscriber.isBehind, subscriber.numbers], [false, [1, 3, 4, 5]]);
  });

  it("gets nothing again of a process that isn't remembered any more", () => {
    const { origins, own, other, subscriber, resume, drain } = start();
    origins.close(other, "ended", other.micros);
    for (let i = 0; !other.isForgotten; i++) {
      origins.close(origins.learn(String(i).padStart(16, "0"), 1e15), "ended", 1e15);
    }
    const third = origins.learn("b".repeat(16), 1e15 + 10);
    resume(new Map([[own.name, 1e15], [third.name, third.micros]]));
    drain();
    assertEquals(subscriber.numbers, [1, 3]);
  });
});
