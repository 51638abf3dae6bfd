import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { Gate } from "../../../server/flow/gate.ts";
import { LaggingSubscribers } from "../../../server/topics/lagging_subscribers.ts";
import { type SubscribedTopic, Subscription } from "../../../server/topics/subscription.ts";
import { FakeSubscriber } from "../../support/memory/fake_subscriber.ts";
import { MemoryRuntime } from "../../support/memory/memory_runtime.ts";
import { until } from "../../support/until.ts";

type Behind = Subscription & { readonly subscriber: FakeSubscriber };

/** Subscribers who have fallen behind, on a loop that turns when the test says so. */
class Bench {
  readonly net = new MemoryRuntime({ turns: "manual" });
  released = 0;
  readonly lagging = new LaggingSubscribers(1_000, () => this.released++);

  /** Somebody for whom as much waits; 1,000 bytes may. */
  behind(pendingBytes: number): Behind {
    const subscriber = new FakeSubscriber();
    subscriber.pendingBytes = pendingBytes;
    subscriber.gate = new Gate(this.net, "slow_subscribers");
    // It's nobody's business here.
    const topic = undefined as unknown as SubscribedTopic;
    return new Subscription(topic, subscriber, 0, 0) as Behind;
  }

  /** Removes the bytes that waited for it. */
  catchUp({ subscriber }: Behind): void {
    const { gate } = subscriber;
    subscriber.pendingBytes = 0;
    subscriber.gate = undefined;
    gate?.open();
    this.net.settle();
  }
}

describe("lagging subscribers", () => {
  for (const [passBytes, isHeld] of [[50, false], [51, true]] as const) {
    const verb = isHeld ? "hold" : "let";
    const end = isHeld ? "would bring one of them near the limit" : "keeps all of them far from it";
    it(`${verb} a pass ${isHeld ? "that" : "go that"} ${end}`, () => {
      const bench = new Bench();
      bench.lagging.beginPass();
      bench.lagging.note(bench.behind(200), "behind", 10);
      assertEquals(bench.lagging.hold(passBytes), isHeld);
      assertEquals(bench.lagging.isHolding, isHeld);
    });
  }

  it("hold a pass until the last that reads has caught up", () => {
    const bench = new Bench();
    const [first, second, third] = [bench.behind(400), bench.behind(900), bench.behind(300)];
    bench.lagging.beginPass();
    for (const one of [first, second, third]) bench.lagging.note(one, "behind", 10);
    assertEquals(bench.lagging.hold(100), true);
    bench.catchUp(first);
    assertEquals(bench.released, 0);
    bench.catchUp(third);
    assertEquals(bench.released, 1);
    assertEquals(bench.lagging.hold(100), true);
    bench.catchUp(second);
    assertEquals(bench.released, 2);
    assertEquals(bench.lagging.hold(100), false);
  });

  it("hold it once for those that take nothing, until none of them is left", async () => {
    const bench = new Bench();
    const { lagging } = bench;
    lagging.beginPass();
    lagging.note(bench.behind(500), "behind_unproven", 10);
    assertEquals(lagging.hold(100), true);
    assertEquals(lagging.gate, undefined);
    await until("the trial is over", () => bench.released === 1);
    assertEquals(lagging.hold(100), false);
    lagging.beginPass();
    lagging.note(bench.behind(500), "behind_unproven", 10);
    assertEquals(lagging.hold(100), false);
    lagging.beginPass();
    assertEquals(lagging.hold(100), false);
    const another = bench.behind(500);
    lagging.note(another, "behind_unproven", 10);
    assertEquals(lagging.hold(100), true);
    bench.catchUp(another);
    assertEquals(lagging.hold(100), false);
    assertEquals(bench.released, 2);
  });

  it("don't hold it for one that has left", () => {
    const bench = new Bench();
    const both = [bench.behind(500), bench.behind(500)];
    bench.lagging.beginPass();
    for (const one of both) bench.lagging.note(one, "behind", 2);
    assertEquals(bench.lagging.hold(100), true);
    for (const one of both) {
      one.index = -1;
      bench.lagging.forget(one);
    }
    assertEquals(bench.released, 1);
    assertEquals(bench.lagging.hold(100), false);
    assertEquals(bench.lagging.gate, undefined);
  });

  it("make publishers wait for one that reads, or where most take nothing", () => {
    const bench = new Bench();
    const { lagging } = bench;
    lagging.beginPass();
    const [one, two, three] = [bench.behind(10), bench.behind(20), bench.behind(30)];
    lagging.note(one, "behind_unproven", 3);
    assertEquals(lagging.gate, undefined);
    lagging.note(two, "behind_unproven", 3);
    assertEquals(lagging.gate, two.subscriber.gate);
    lagging.note(three, "behind", 3);
    assertEquals(lagging.gate, three.subscriber.gate);
    lagging.endPass();
    assertEquals(lagging.gate, three.subscriber.gate);
    lagging.beginPass();
    assertEquals(lagging.gate, three.subscriber.gate);
    lagging.endPass();
    assertEquals(lagging.gate, undefined);
  });
});
