import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import {
  message,
  publish,
  publishForReceipt,
  subscribe,
  unsubscribe,
} from "../../support/clients/janus_client.ts";
import { framesOf, MemoryBed } from "../../support/memory/memory_bed.ts";

const KIB = 1024;

describe("replies", () => {
  it("are bounded for a client which asks and never reads", async () => {
    const bed = await MemoryBed.start({ maxPendingBytes: KIB });
    const asking = bed.subscribed(["t"], { bufferBytes: 200 });
    asking.stall();
    asking.send(subscribe("t").repeat(20_000));
    bed.net.settle();
    assertEquals(bed.ended.map(({ reason }) => reason), ["slow_consumer"]);
    // The answers to one piece of what it said wait together.
    assertLess(bed.ended[0]!.pendingBytes, 2 * KIB);
    asking.reset();
    bed.net.settle();
    assertEquals([bed.server.heldBytes, bed.server.topicCount], [0, 0]);
  });

  it("count for what they cost while they wait, not only for their few bytes", async () => {
    const bed = await MemoryBed.start();
    const asking = bed.subscribed(["t"], { bufferBytes: 200 });
    asking.stall();
    for (let asked = 0; asked < 500; asked++) {
      asking.send(subscribe("t"));
      bed.net.settle();
    }
    assertGreater(bed.server.heldBytes, 450 * 64);
  });

  it("to what came together are joined, and cost less than each by itself", async () => {
    const bed = await MemoryBed.start();
    const asking = bed.subscribed([], { bufferBytes: 200 });
    asking.stall();
    asking.send(subscribe("t").repeat(500) + publishForReceipt(message("nobody")).repeat(500));
    bed.net.settle();
    const frames = 500 * "ACK\x01".length + 500 * 120;
    assertLess(bed.server.heldBytes, frames);
    asking.flow();
    bed.net.settle();
    const kinds = framesOf(asking).map((frame) => frame === "ACK" ? frame : "receipt");
    assertEquals(kinds, [...Array(500).fill("ACK"), ...Array(500).fill("receipt")]);
  });

  it("to a flood take a write a turn, not one for each piece that is read", async () => {
    const bed = await MemoryBed.start({ maxTopics: 3_000 });
    const asking = bed.subscribed([]);
    const before = asking.writeCount;
    asking.send(Array.from({ length: 3_000 }, (_, n) => subscribe(`t${n}`)).join(""));
    bed.net.settle();
    assertEquals(framesOf(asking).length, 3_000);
    assertLess(asking.writeCount - before, 30);
  });

  it("keep their order with what an unsubscribe still brings", async () => {
    const bed = await MemoryBed.start();
    const client = bed.subscribed(["t"]);
    client.send(subscribe("u") + publish(message("t", 1)) + unsubscribe("t") + subscribe("v"));
    bed.net.settle();
    const kinds = framesOf(client).slice(1).map((frame) => frame === "ACK" ? frame : "message");
    assertEquals(kinds, ["ACK", "message", "ACK"]);
  });

  it("come before an error that ends the client", async () => {
    const bed = await MemoryBed.start();
    const client = bed.subscribed([]);
    client.send(subscribe("u") + publishForReceipt(message("nobody")) + "nonsense\0");
    bed.net.settle();
    const kinds = framesOf(client).map((frame) => /ACK|receipt|error/.exec(frame)?.[0]);
    assertEquals(kinds, ["ACK", "receipt", "error"]);
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
