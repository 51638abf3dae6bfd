import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import { MemoryBudget } from "../../../server/flow/memory_budget.ts";
import type { SharedChunk } from "../../../server/flow/shared_chunk.ts";
import type { Fall, Lag, Subscriber } from "../../../server/topics/subscriber.ts";
import type { Topic } from "../../../server/topics/topic.ts";
import { MemoryRuntime } from "../../support/memory/memory_runtime.ts";
import { type TopicsInMemory, topicsInMemory } from "../../support/memory/topics_in_memory.ts";
import { until } from "../../support/until.ts";

const utf8 = new TextEncoder();

const MAX_PENDING_BYTES = 8_000;

/** A subscriber that is behind with the first chunk, and takes one when the test says so. */
class Reader implements Subscriber {
  /** The messages' numbers, in the order in which they came. */
  readonly numbers: number[] = [];
  chunkCount = 0;
  hasUnsent = false;
  fall: Fall | undefined;
  /** True if it takes all at once, as long as it is. */
  flows: boolean;
  readonly #bed: Bed;

  constructor(bed: Bed, flows = false) {
    this.#bed = bed;
    this.flows = flows;
  }

  get takesMore(): boolean {
    return !this.hasUnsent;
  }

  /** How often was added up what waits for it, which takes longer the more topics it has. */
  additions = 0;

  get unsentBytes(): number {
    this.additions++;
    return 0;
  }

  deliver({ bytes }: SharedChunk): Lag {
    this.chunkCount++;
    const text = new TextDecoder().decode(bytes);
    for (const [, number] of text.matchAll(/"n":(\d+)/g)) this.numbers.push(Number(number));
    this.hasUnsent = !this.flows;
    return this.flows ? "keeps_up" : "behind";
  }

  fallBehind(fall: Fall): void {
    this.fall = fall;
    this.#bed.catchUps.drop(this);
  }
}

type Bed = TopicsInMemory & { readonly net: MemoryRuntime; readonly topic: Topic };

function start(): Bed {
  const net = new MemoryRuntime({ turns: "manual" });
  const budget = new MemoryBudget(Number.MAX_SAFE_INTEGER, {});
  const bed = topicsInMemory(net, { maxPendingBytes: MAX_PENDING_BYTES, budget });
  return { ...bed, net, topic: bed.topics.open("t") };
}

/** Publishes a message of about that many bytes, and makes a pass. */
function publish({ topic, origins, net }: Bed, n: number, bytes: number): void {
  const message = JSON.stringify({ n, filling: "x".repeat(bytes) });
  topic.publish(origins.own, 1e15 + n, utf8.encode(message));
  net.settle();
}

/** Lets a reader take what it was given, and then the next chunk. */
function take(bed: Bed, reader: Reader): void {
  reader.hasUnsent = false;
  bed.catchUps.onDrain(reader, "reads");
  bed.net.settle();
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}

describe("what a topic keeps for subscribers that are behind", () => {
  it("is held once for all, until the last has read it", () => {
    const bed = start();
    const readers = [new Reader(bed), new Reader(bed), new Reader(bed)];
    for (const reader of readers) bed.topic.subscribe(reader);
    for (let n = 0; n < 5; n++) publish(bed, n, 40_000);
    const heldBytes = bed.budget.outputBytes;
    assertGreater(heldBytes, 4 * 40_000);
    assertLess(heldBytes, 5 * 41_000);
    for (const reader of readers) {
      assertEquals(bed.budget.outputBytes, heldBytes);
      assertEquals(reader.numbers, [0]);
      reader.flows = true;
      take(bed, reader);
      assertEquals(reader.numbers, upTo(5));
    }
    assertEquals(bed.budget.outputBytes, 0);
    publish(bed, 5, 1_000);
    for (const reader of readers) assertEquals(reader.numbers, upTo(6));
    assert(bed.catchUps.isEmpty);
  });

  it("is read in few chunks if its messages are small", () => {
    const bed = start();
    const [reader, other] = [new Reader(bed), new Reader(bed)];
    for (const one of [reader, other]) bed.topic.subscribe(one);
    for (let n = 0; n < 40; n++) publish(bed, n, 10);
    for (const one of [reader, other]) {
      take(bed, one);
      take(bed, one);
      assertEquals(one.numbers, upTo(40));
      assertEquals(one.chunkCount, 2);
    }
    assertEquals(bed.budget.outputBytes, 0);
  });

  it("is given in turns to one that is behind on several topics", () => {
    const bed = start();
    const reader = new Reader(bed);
    const topics = ["t", "u", "v"].map((name) => bed.topics.open(name));
    for (const topic of topics) topic.subscribe(reader);
    for (const [i, topic] of topics.entries()) {
      for (let n = 0; n < 3; n++) publish({ ...bed, topic }, 10 * i + n, 40_000);
    }
    assertEquals(reader.numbers, [0, 10, 20]);
    while (!bed.catchUps.isEmpty) take(bed, reader);
    assertEquals(reader.numbers, [0, 10, 20, 1, 11, 21, 2, 12, 22]);
  });

  it("comes to one that leaves, up to where it left", () => {
    const bed = start();
    const [leaver, other] = [new Reader(bed), new Reader(bed)];
    const subscription = bed.topic.subscribe(leaver);
    bed.topic.subscribe(other);
    for (let n = 0; n < 3; n++) publish(bed, n, 40);
    bed.topic.publish(bed.origins.own, 1e15 + 3, utf8.encode(JSON.stringify({ n: 3 })));
    bed.topic.unsubscribe(subscription, true);
    for (let n = 4; n < 8; n++) publish(bed, n, 40);
    leaver.flows = other.flows = true;
    for (const one of [leaver, other]) take(bed, one);
    assertEquals(leaver.numbers, upTo(4));
    assertEquals(other.numbers, upTo(8));
    assertEquals(bed.budget.outputBytes, 0);
  });

  it("outlives its topic, for one that leaves as the last", () => {
    const bed = start();
    const leaver = new Reader(bed);
    const subscription = bed.topic.subscribe(leaver);
    for (let n = 0; n < 3; n++) publish(bed, n, 40_000);
    bed.topic.unsubscribe(subscription, true);
    assertEquals(bed.topics.find("t"), undefined);
    while (!bed.catchUps.isEmpty) take(bed, leaver);
    assertEquals(leaver.numbers, upTo(3));
    assertEquals(bed.budget.outputBytes, 0);
  });
});

/** A subscriber that is behind and reads, one of three. */
function behind() {
  const bed = start();
  const reader = new Reader(bed);
  const subscription = bed.topic.subscribe(reader);
  for (let i = 0; i < 2; i++) bed.topic.subscribe(new Reader(bed, true));
  for (const n of [0, 1]) publish(bed, n, 10);
  take(bed, reader);
  return { bed, reader, subscription };
}

describe("publishers", () => {
  it("wait for a subscriber that reads while more than the soft limit is kept for it", () => {
    const { bed, reader } = behind();
    publish(bed, 2, 3_900);
    assertEquals(bed.topic.gate, undefined);
    publish(bed, 3, 100);
    const { gate } = bed.topic;
    assert(gate !== undefined);
    assertEquals(gate.cause, "slow_subscribers");
    let hasResumed = false;
    gate.wait({ resume: () => hasResumed = true });
    take(bed, reader);
    assertEquals([hasResumed, bed.topic.gate], [true, undefined]);
  });

  it("that wait go on when a subscriber that reads has nearly caught up", () => {
    const { bed, reader } = behind();
    // Neither is joined with the next one.
    for (const n of [2, 3]) publish(bed, n, 40_000);
    publish(bed, 4, 10);
    const { gate } = bed.topic;
    assert(gate !== undefined);
    let hasResumed = false;
    gate.wait({ resume: () => hasResumed = true });
    take(bed, reader);
    assertEquals([hasResumed, reader.numbers], [false, upTo(3)]);
    take(bed, reader);
    assertEquals([hasResumed, reader.numbers], [true, upTo(4)]);
  });

  it("don't wait for one that has stalled, until it takes something again", () => {
    const { bed, reader } = behind();
    for (const n of [2, 3, 4]) publish(bed, n, 1_800);
    assert(bed.topic.gate !== undefined);
    bed.catchUps.onStall(reader);
    assertEquals(bed.topic.gate, undefined);
    bed.catchUps.onDrain(reader, "reads");
    assert(bed.topic.gate !== undefined);
  });

  it("don't pay for each that has stalled with each message", () => {
    const { bed, reader } = behind();
    for (const n of [2, 3, 4]) publish(bed, n, 1_800);
    bed.catchUps.onStall(reader);
    reader.additions = 0;
    for (let n = 5; n < 25; n++) publish(bed, n, 10);
    assertLess(reader.additions, 3);
    assertEquals(reader.fall, undefined);
  });

  for (const how of ["leaves", "is gone"] as const) {
    it(`don't wait for one that ${how}`, () => {
      const { bed, reader, subscription } = behind();
      for (const n of [2, 3, 4]) publish(bed, n, 1_800);
      assert(bed.topic.gate !== undefined);
      if (how === "is gone") bed.catchUps.drop(reader);
      bed.topic.unsubscribe(subscription, how === "leaves");
      assertEquals(bed.topic.gate, undefined);
    });
  }

  it("wait for subscribers that have taken nothing yet if they are most, until these stall", () => {
    const bed = start();
    const readers = [new Reader(bed), new Reader(bed), new Reader(bed, true)];
    for (const reader of readers) bed.topic.subscribe(reader);
    for (let n = 0; n < 5; n++) publish(bed, n, 1_000);
    assert(bed.topic.gate !== undefined);
    for (const reader of readers.slice(0, 2)) {
      assert(bed.topic.gate !== undefined);
      bed.catchUps.onStall(reader);
    }
    assertEquals(bed.topic.gate, undefined);
    publish(bed, 5, 5_000);
    assertEquals(readers.map(({ fall }) => fall), ["too_far", "too_far", undefined]);
    assertEquals(bed.budget.outputBytes, 0);
  });

  it("wait a short time for few of them, before these fall off, and not again while one is left", async () => {
    const bed = start();
    const [first, second] = [new Reader(bed), new Reader(bed)];
    bed.topic.subscribe(first);
    for (let i = 0; i < 5; i++) bed.topic.subscribe(new Reader(bed, true));
    for (let n = 0; n < 8; n++) publish(bed, n, 1_000);
    assertEquals(bed.topic.gate, undefined);
    bed.topic.subscribe(second);
    publish(bed, 8, 1_000);
    const { gate } = bed.topic;
    assert(gate !== undefined);
    let hasResumed = false;
    gate.wait({ resume: () => hasResumed = true });
    await until("the trial is over", () => {
      bed.net.settle();
      return hasResumed;
    });
    assertEquals([first.fall, second.fall], ["too_far", undefined]);
    for (let n = 9; n < 17; n++) {
      assertEquals(second.fall, undefined);
      publish(bed, n, 1_000);
      assertEquals(bed.topic.gate, undefined);
    }
    assertEquals(second.fall, "too_far");
    assertEquals(bed.budget.outputBytes, 0);
  });
});
