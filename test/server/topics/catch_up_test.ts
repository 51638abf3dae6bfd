import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
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
  readonly gate = undefined;
  readonly pendingBytes = 0;
  hasUnsent = true;

  fallBehind(): void {}

  deliver({ bytes }: SharedChunk): Lag {
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
      bed.catchUps.onDrain(subscriber);
      net.settle();
      assertEquals(subscriber.numbers, [1, 2, 3]);
      assertEquals(bed.catchUps.isEmpty, true);
    });
  }
});
