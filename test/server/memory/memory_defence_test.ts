import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import { dataOf, framesOf, MemoryBed } from "../../support/memory/memory_bed.ts";
import type { MemoryPeer } from "../../support/memory/memory_peer.ts";
import { publish } from "../../support/clients/janus_client.ts";

const KIB = 1024;

/** Sends numbered messages of about that many bytes, all in one go. */
function flood(publisher: MemoryPeer, topic: string, count: number, bytes: number): void {
  const padding = "p".repeat(bytes);
  publisher.send(
    Array.from(
      { length: count },
      (_, i) => publish(`{"topic":"${topic}","data":${i},"padding":"${padding}"}`),
    ).join(""),
  );
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

describe("the server's memory", () => {
  it("is defended by dropping who took nothing for a second, and costs no reader a message", async () => {
    const bed = await MemoryBed.start({ maxTotalPendingBytes: 400 * KIB });
    const stalled = upTo(5).map(() => bed.subscribed(["t"], { bufferBytes: 200 }));
    for (const peer of stalled) peer.stall();
    const healthy = bed.subscribed(["t"], { bufferBytes: 400 * KIB });
    const publisher = bed.dial();
    flood(publisher, "t", 200, 4 * KIB);
    bed.net.settle();
    assertGreater(bed.server.heldBytes, 300 * KIB);
    assertLess(bed.server.heldBytes, 400 * KIB);
    assertLess(dataOf(healthy).length, 200);
    bed.pass(750);
    assertEquals(bed.ended, []);
    bed.pass(500);
    assertEquals(bed.ended.map(({ reason }) => reason), Array(5).fill("slow_consumer"));
    for (const { pendingBytes, detail } of bed.ended) {
      assertGreater(pendingBytes, 200 * KIB);
      assertEquals(detail, "Took nothing while memory was short");
    }
    bed.pass(250);
    assertEquals(dataOf(healthy), upTo(200));
    assertEquals(bed.server.heldBytes, 0);
    assertEquals(bed.server.counters.subscriptions, 1);
  });

  it("reads what had arrived of clients that are gone, even while it reads no other for want of memory", async () => {
    const bed = await MemoryBed.start({ maxTotalPendingBytes: 1024 * KIB });
    const reader = bed.subscribed(["t"]);
    const slow = bed.subscribed(["slow"], { bufferBytes: 200 });
    slow.stall();
    flood(bed.dial(), "slow", 5, 4 * KIB);
    bed.net.settle();
    const flooders = upTo(40).map(() => bed.dial());
    for (const flooder of flooders) flood(flooder, "nobody", 2_000, 30);
    bed.net.turn();
    assertGreater(bed.server.heldBytes, 200 * KIB);
    // With an abort the kernel gives all that it has, paused or not.
    for (const flooder of flooders) flooder.reset();
    bed.net.turn();
    bed.beginSweep();
    bed.pass(1_000);
    // Nor does anybody else pay for it.
    assertEquals([...new Set(bed.ended.map(({ reason }) => reason))], ["connection_lost"]);
    slow.flow();
    bed.pass(250);
    assertEquals([dataOf(slow), bed.server.heldBytes, bed.ended.length], [upTo(5), 0, 40]);
    const publisher = bed.dial();
    flood(publisher, "t", 20, 4 * KIB);
    bed.pass(1_000);
    assertEquals(dataOf(reader), upTo(20));
  });

  it("leaves those alone who took a byte within the last second", async () => {
    const bed = await MemoryBed.start({ maxTotalPendingBytes: 400 * KIB });
    const stalled = bed.subscribed(["t"], { bufferBytes: 200 });
    const slow = bed.subscribed(["t"], { bufferBytes: 200 });
    stalled.stall();
    slow.stall();
    const publisher = bed.dial();
    flood(publisher, "t", 100, 4 * KIB);
    bed.net.settle();
    bed.pass(750);
    assertEquals(bed.ended, []);
    // Right before the sweep at which both have taken nothing for a second.
    bed.pass(250, () => slow.take(1));
    assertEquals(bed.ended.length, 1);
    slow.bufferBytes = 64 * KIB;
    slow.flow();
    bed.pass(500);
    assertEquals(dataOf(slow), upTo(100));
  });

  it("is defended past its limit too, and no harder than it takes", async () => {
    const limits = { maxTotalPendingBytes: 420 * KIB, maxFrameBytes: 128 * KIB };
    const bed = await MemoryBed.start(limits);
    const readers = upTo(4).map((i) => bed.subscribed([`t${i}`], { bufferBytes: 200 }));
    const publishers = readers.map(() => bed.dial());
    for (const reader of readers) reader.stall();
    for (let round = 0; round < 2; round++) {
      for (const [i, publisher] of publishers.entries()) flood(publisher, `t${i}`, 1, 45 * KIB);
      bed.net.settle();
    }
    // Some 90 KiB for each reader; the next 128 KiB are 70 too many.
    assertLess(bed.server.heldBytes, 370 * KIB);
    // A client that comes now is the last to go.
    bed.pass(250);
    bed.dial().send(`PUBLISH\0{"topic":"x","data":"${"x".repeat(110 * KIB)}`);
    bed.net.settle();
    assertGreater(bed.server.heldBytes, 480 * KIB);
    bed.pass(250, () => {
      for (const reader of readers.slice(1)) reader.take(1);
    });
    assertEquals(bed.ended.map(({ reason, detail }) => [reason, detail]), [
      ["slow_consumer", "Memory was exhausted"],
    ]);
    assertLess(bed.server.heldBytes, 420 * KIB);
    for (const reader of readers) {
      reader.bufferBytes = 64 * KIB;
      reader.flow();
    }
    bed.pass(500);
    assertEquals(readers.map((reader) => dataOf(reader).length), [0, 2, 2, 2]);
  });

  it("is defended against those who fill it at once, and not against who holds next to nothing", async () => {
    const bed = await MemoryBed.start({ maxTotalPendingBytes: KIB * KIB });
    const reader = bed.subscribed(["t"], { bufferBytes: 200 });
    bed.pass(250);
    reader.stall();
    const publisher = bed.dial();
    flood(publisher, "t", 10, 100);
    bed.net.settle();
    assertGreater(bed.server.heldBytes, 0);
    // It has been idle for longer than they have.
    bed.pass(500);
    for (let i = 0; i < 40; i++) {
      bed.dial().send(`PUBLISH\0{"topic":"t","data":"${"x".repeat(60 * KIB)}`);
    }
    bed.net.settle();
    assertGreater(bed.server.heldBytes, KIB * KIB);
    bed.pass(250);
    assertLess(bed.server.heldBytes, KIB * KIB);
    assertEquals(new Set(bed.ended.map(({ reason }) => reason)), new Set(["frame_too_large"]));
    reader.bufferBytes = 64 * KIB;
    reader.flow();
    bed.net.settle();
    assertEquals(dataOf(reader), upTo(10));
  });

  it("isn't used up by joining for each reader what all of them share", async () => {
    const bed = await MemoryBed.start({ maxTotalPendingBytes: 4 * KIB * KIB });
    const readers = upTo(200).map(() => bed.subscribed(["t"], { bufferBytes: 1 * KIB }));
    for (const reader of readers) reader.stall();
    const publisher = bed.dial();
    for (let i = 0; i < 100; i++) {
      publisher.send(publish(`{"topic":"t","data":${i},"padding":"${"p".repeat(KIB)}"}`));
      bed.net.settle();
    }
    assertLess(bed.server.heldBytes, 200 * KIB);
    for (const reader of readers) reader.flow();
    bed.net.settle();
    assertEquals(bed.ended, []);
    for (const reader of readers) assertEquals(dataOf(reader), upTo(100));
  });

  it("isn't used up by frames that are never completed, and no client waits for them", async () => {
    const bed = await MemoryBed.start({ maxTotalPendingBytes: KIB * KIB + 2 * KIB });
    const reader = bed.subscribed(["t"]);
    const publisher = bed.dial();
    const hoarders = upTo(40).map(() => {
      const hoarder = bed.dial();
      hoarder.send(`\0PUBLISH\0{"topic":"t","data":"${"x".repeat(60 * KIB)}`);
      return hoarder;
    });
    bed.net.settle();
    for (let second = 0; second < 60; second++) {
      publisher.send(publish(`{"topic":"t","data":${second}}`));
      bed.pass(1_000, () => {
        for (const hoarder of hoarders) hoarder.send("x");
        for (const peer of [reader, publisher]) peer.send("PONG\0");
      });
    }
    assertEquals(dataOf(reader), upTo(60));
    assertLess(bed.server.heldBytes, 0.75 * KIB * KIB);
    // No more of them than it takes.
    assertGreater(hoarders.filter((hoarder) => !hoarder.ended).length, 2);
    assertEquals(new Set(bed.ended.map(({ reason }) => reason)), new Set(["frame_too_large"]));
  });

  /** Begins so many frames that are small, one on each of so many connections. */
  function beginSmallFrames(bed: MemoryBed, count: number): MemoryPeer[] {
    const peers = upTo(count).map(() => bed.dial({ from: "10.0.0.1" }));
    for (const peer of peers) peer.send(`PUBLISH\0{"topic":"t","data":"${"x".repeat(3 * KIB)}`);
    bed.net.settle();
    return peers;
  }

  /** A client that comes now gets an answer within half a second. */
  function assertAnswers(bed: MemoryBed): void {
    const client = bed.dial({ from: "10.0.0.2" });
    client.send('{"action":"subscribe","data":"new"}\0' + publish('{"topic":"new","data":1}'));
    bed.pass(500);
    assertEquals(dataOf(client), [1]);
  }

  it("is there again for all once waiting bytes are read, whatever small frames hold", async () => {
    const bed = await MemoryBed.start({ maxTotalPendingBytes: KIB * KIB });
    const holders = beginSmallFrames(bed, 100);
    const heldBytes = bed.server.heldBytes;
    assertGreater(heldBytes, 0.25 * KIB * KIB);
    const publishers = upTo(20).map(() => bed.dial({ from: "10.0.0.3" }));
    for (const publisher of publishers) flood(publisher, "u", 200, 400);
    bed.net.turn();
    assertGreater(bed.server.heldBytes, heldBytes + 0.3125 * KIB * KIB);
    bed.pass(250);
    assertEquals(bed.server.counters.messagesIn, 4_000);
    assertAnswers(bed);
    assertEquals([bed.server.heldBytes, bed.ended], [heldBytes, []]);
    for (const holder of holders) holder.send('"}\0');
    bed.pass(250);
    assertEquals(bed.server.counters.messagesIn, 4_101);
  });

  it("isn't used up by small frames either: the oldest of the address with most go", async () => {
    const bed = await MemoryBed.start({ maxTotalPendingBytes: KIB * KIB });
    const first = bed.dial({ from: "10.0.0.4" });
    first.send("PUBLISH\0{");
    const holders = beginSmallFrames(bed, 400);
    bed.pass(2_000);
    assertAnswers(bed);
    assertLess(bed.server.heldBytes, 0.6 * KIB * KIB);
    assertEquals(first.ended, false);
    // No more of them than it takes.
    assertGreater(holders.filter(({ ended }) => !ended).length, 50);
    assertEquals(new Set(bed.ended.map(({ reason }) => reason)), new Set(["frame_too_large"]));
  });

  it("gives no address more than half of what unfinished frames may have, if others have some", async () => {
    const bed = await MemoryBed.start({ maxTotalPendingBytes: 10 * KIB * KIB });
    const half = `PUBLISH\0{"topic":"t","data":"${"x".repeat(60 * KIB)}`;
    const begin = (from: string) => {
      const peer = bed.dial({ from });
      peer.send(half);
      return peer;
    };
    const hoarders = upTo(24).map(() => begin("10.0.0.1"));
    bed.net.settle();
    bed.pass(5_000);
    // As long as no other client has any, they may have them.
    assertEquals(bed.ended, []);
    const other = begin("10.0.0.2");
    bed.net.settle();
    bed.pass(1_000);
    const left = hoarders.filter((hoarder) => !hoarder.ended).length;
    assertEquals(left, Math.floor(10 * KIB * 0.1875 / 2 / 64));
    assertEquals(other.ended, false);
    other.send('"}\0');
    bed.net.settle();
    bed.pass(250);
    assertEquals(bed.server.counters.messagesIn, 1);
    assertEquals(hoarders.filter((hoarder) => !hoarder.ended).length, left);
  });

  it("counts no time against a frame for which the server itself has made its client wait", async () => {
    const bed = await MemoryBed.start({
      maxTotalPendingBytes: KIB * KIB,
      publishBytesRate: 20 * KIB,
    });
    const reader = bed.subscribed(["t"]);
    const publisher = bed.dial({ from: "10.0.0.1" });
    // So fast that it has to wait for 1.5 s, and in the middle of a frame.
    publisher.send(`PUBLISH\0{"topic":"t","data":0,"padding":"${"x".repeat(50 * KIB)}`);
    bed.net.settle();
    publisher.send('"}\0');
    for (let second = 0; second < 8; second++) {
      // These hold too much, though none of them for a second.
      const others = upTo(4).map((at) => bed.dial({ from: `10.0.1.${at}` }));
      for (const other of others) {
        other.send(`PUBLISH\0{"topic":"u","data":"${"x".repeat(60 * KIB)}`);
      }
      bed.net.settle();
      bed.pass(500);
      for (const other of others) other.reset();
      bed.net.settle();
    }
    assertEquals(dataOf(reader), [0]);
    assertEquals(bed.ended.filter(({ reason }) => reason === "frame_too_large"), []);
    // Then its own time begins: it has a second, of which it took none before.
    publisher.send(`PUBLISH\0{"topic":"t","data":1,"padding":"${"x".repeat(10 * KIB)}`);
    bed.pass(1_250);
    const others = upTo(4).map(() => bed.dial());
    for (const other of others) {
      other.send(`PUBLISH\0{"topic":"u","data":"${"x".repeat(60 * KIB)}`);
    }
    bed.net.settle();
    bed.pass(250);
    assertEquals(bed.ended.filter(({ reason }) => reason === "frame_too_large").length, 1);
    assertEquals(publisher.ended, true);
  });

  it("lets who takes its time over a frame have it while there is enough", async () => {
    const bed = await MemoryBed.start();
    const reader = bed.subscribed(["t"]);
    const publisher = bed.dial();
    const frame = `PUBLISH\0{"topic":"t","data":0,"padding":"${"x".repeat(300)}"}`;
    let at = 0;
    bed.pass(frame.length * 250, () => {
      publisher.send(frame[at++] ?? "");
      reader.send("PONG\0");
    });
    assertEquals(dataOf(reader), [0]);
  });

  it("leaves a publisher alone that completes frame after frame", async () => {
    const bed = await MemoryBed.start({ maxTotalPendingBytes: 400 * KIB });
    const publisher = bed.dial();
    publisher.send("PUBLISH\0{");
    // Each segment ends in the middle of a frame.
    bed.pass(3_000, () => publisher.send(`"topic":"nobody"}\0PUBLISH\0{`));
    bed.subscribed(["t"], { bufferBytes: 200 }).stall();
    flood(bed.dial(), "t", 100, 4 * KIB);
    bed.net.settle();
    assertGreater(bed.server.heldBytes, 300 * KIB);
    bed.pass(250, () => publisher.send(`"topic":"nobody"}\0PUBLISH\0{`));
    assertEquals(bed.ended, []);
  });

  /** Makes clients hold so much of their frames, for a sweep, that clients which hold nothing aren't read. */
  function crowd(bed: MemoryBed, meanwhile: () => void = () => {}): void {
    const peers = upTo(10).map(() => bed.dial());
    for (const peer of peers) peer.send(`PUBLISH\0{"topic":"t","data":"${"x".repeat(60_000)}`);
    bed.net.settle();
    meanwhile();
    bed.pass(250);
    for (const peer of peers) peer.reset();
    bed.net.settle();
  }

  it("closes a silent client in time although it isn't read now and then", async () => {
    const limits = { maxTotalPendingBytes: KIB * KIB, idleMs: 5_000, pingAfterMs: 5_000 };
    const bed = await MemoryBed.start(limits);
    const silent = bed.dial();
    for (let passedMs = 0; passedMs < 5_000; passedMs += 1_000) {
      assertEquals(silent.ended, false);
      crowd(bed);
      bed.pass(750);
    }
    // The waits don't count.
    bed.pass(1_000);
    assertEquals(silent.ended, false);
    bed.pass(500);
    assertEquals(silent.ended, true);
  });

  it("closes it also if that is so again before each time that it's looked at", async () => {
    const limits = { maxTotalPendingBytes: KIB * KIB, idleMs: 3_000, pingAfterMs: 3_000 };
    const bed = await MemoryBed.start(limits);
    const silent = bed.dial();
    for (let passedMs = 0; passedMs < 3_000; passedMs += 250) {
      crowd(bed);
      bed.pass(250);
    }
    assertEquals(silent.ended, false);
    for (let passedMs = 0; passedMs < 1_250; passedMs += 250) {
      crowd(bed);
      bed.pass(250);
    }
    assertEquals(silent.ended, true);
  });

  it("doesn't close a client for what it could say only while it wasn't read", async () => {
    const limits = { maxTotalPendingBytes: KIB * KIB, idleMs: 2_000, pingAfterMs: 2_000 };
    const bed = await MemoryBed.start(limits);
    const client = bed.dial();
    client.send("PONG\0");
    bed.pass(2_000);
    assertEquals(framesOf(client), ["PING"]);
    bed.pass(1_750);
    crowd(bed, () => client.send("PONG\0"));
    bed.pass(1_750);
    assertEquals(client.ended, false);
    bed.pass(3_000);
    assertEquals(client.ended, true);
  });
});
