import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import { message, publish, subscribe, unsubscribe } from "../support/janus_client.ts";
import { framesOf, MemoryBed } from "../support/memory_bed.ts";

const KIB = 1024;

describe("replies", () => {
  it("are bounded for a client which asks and never reads", async () => {
    const bed = await MemoryBed.start({ maxPendingBytes: KIB });
    const asking = bed.subscribed(["t"], { bufferBytes: 200 });
    asking.stall();
    asking.send(subscribe("t").repeat(20_000));
    bed.net.settle();
    assertEquals(bed.ended.map(({ reason }) => reason), ["slow_consumer"]);
    assertLess(bed.ended[0]!.pendingBytes, KIB + 10);
    asking.reset();
    bed.net.settle();
    assertEquals([bed.server.heldBytes, bed.server.topicCount], [0, 0]);
  });

  it("count for what they cost while they wait, not only for their few bytes", async () => {
    const bed = await MemoryBed.start();
    const asking = bed.subscribed(["t"], { bufferBytes: 200 });
    asking.stall();
    asking.send(subscribe("t").repeat(20_000));
    bed.net.settle();
    // So many are answered at once.
    assertGreater(bed.server.heldBytes, 1_000 * 64);
  });

  it("come to an end with an eviction, whatever was asked for in the same breath", async () => {
    const bed = await MemoryBed.start({ maxPendingBytes: 8 * KIB });
    const leaving = bed.subscribed(["t"], { bufferBytes: 200 });
    leaving.stall();
    const padding = "p".repeat(4 * KIB);
    // What it is owed at the unsubscribe is more than may wait for it.
    leaving.send(
      publish(`{"topic":"t","data":"${padding}"}`).repeat(3) + unsubscribe("t") +
        subscribe("other") + publish(message("t")) + subscribe("another"),
    );
    bed.net.settle();
    assertEquals(bed.ended.map(({ reason }) => reason), ["slow_consumer"]);
    assertEquals([bed.server.topicCount, bed.server.counters.subscriptions], [0, 0]);
    assertEquals(bed.server.counters.messagesIn, 3);
    leaving.flow();
    bed.net.settle();
    assertEquals(framesOf(leaving).at(-1)?.includes("slow_consumer"), true);
    assertEquals(framesOf(leaving).filter((frame) => frame === "ACK").length, 1);
  });
});
