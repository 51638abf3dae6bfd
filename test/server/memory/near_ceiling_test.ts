import { assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "node:test";
import { dataOf, MemoryBed } from "../../support/memory/memory_bed.ts";
import { publish } from "../../support/clients/janus_client.ts";

const MB = 1_000_000;
const MAX = 400 * MB;

/** A server one of whose readers has stalled and holds 60 MB: it's what there is too much of. */
async function withStalledReader(): Promise<MemoryBed> {
  const bed = await MemoryBed.start({
    maxMemoryBytes: MAX,
    maxPendingBytes: 200 * MB,
    softPendingBytes: 200 * MB,
    maxTotalPendingBytes: 200 * MB,
  });
  const stalled = bed.subscribed(["s"], { bufferBytes: 200 });
  stalled.stall();
  const filler = bed.dial();
  for (let sent = 0; sent < 60 * MB; sent += 50_000) {
    filler.send(publish(`{"topic":"s","padding":"${"x".repeat(50_000)}"}`));
    bed.net.settle();
  }
  return bed;
}

describe("a server near its memory's ceiling", () => {
  it("reads small publishers on but no others, then none, then refuses; and all again", async () => {
    const bed = await withStalledReader();
    const reader = bed.subscribed(["t"]);
    const small = bed.dial();
    small.send(publish('{"topic":"t","data":0}'));
    const bulk = bed.dial();
    bulk.send(publish(`{"topic":"u","padding":"${"x".repeat(10_000)}"}`));
    bed.net.settle();
    bed.net.residentBytes = 310 * MB;
    bed.pass(250);
    bulk.send(publish('{"topic":"t","data":"bulk"}'));
    small.send(publish('{"topic":"t","data":1}'));
    bed.net.settle();
    assertEquals(dataOf(reader), [0, 1]);
    assertEquals(bed.server.counters.memoryPauses, 1);
    bed.net.residentBytes = 385 * MB;
    bed.pass(250);
    small.send(publish('{"topic":"t","data":2}'));
    bed.net.settle();
    assertEquals(dataOf(reader), [0, 1]);
    // The one that holds it has been ended, and a collection brings its memory back.
    assertEquals(bed.ended.map(({ reason, detail }) => [reason, detail]), [
      ["slow_consumer", "Memory is short, and this client holds much of it"],
    ]);
    bed.net.onGiveBack = () => bed.net.residentBytes = 200 * MB;
    bed.pass(1_000);
    assertEquals(dataOf(reader), [0, 1, 2, "bulk"]);
    assertEquals(bed.server.counters.memoryEvictions, 1);
  });

  it("ends no client for a little that waits to be read", async () => {
    const bed = await withStalledReader();
    const reader = bed.subscribed(["t"]);
    const small = bed.dial();
    small.send(publish('{"topic":"t","data":0}'));
    bed.net.settle();
    bed.net.residentBytes = 350 * MB;
    bed.beginSweep();
    const more = Array.from({ length: 100 }, (_, i) => i + 1);
    const padding = "x".repeat(60);
    small.send(
      more.map((i) => publish(`{"topic":"t","data":${i},"padding":"${padding}"}`)).join(""),
    );
    bed.net.settle();
    assertEquals(dataOf(reader), [0]);
    // More than all clients hold.
    bed.net.residentBytes = 399 * MB;
    bed.pass(1_000);
    bed.net.residentBytes = 200 * MB;
    bed.pass(1_000);
    assertEquals(bed.ended.map(({ reason }) => reason), ["slow_consumer"]);
    assertEquals(dataOf(reader), [0, ...more]);
  });

  it("refuses connections while clients hold nearly all that there is", async () => {
    const bed = await MemoryBed.start({ maxMemoryBytes: MAX });
    const crowd = Array.from({ length: 6_000 }, () => bed.dial());
    bed.net.residentBytes = 385 * MB;
    bed.pass(250);
    const refused = bed.dial();
    bed.pass(1_250);
    assertMatch(refused.text, /^\{[^{]*\{"code":"too_many_connections",[^{]*Memory is too short/);
    assertEquals(bed.server.counters.memoryRefusals, 1);
    for (const peer of crowd.splice(0, 4_000)) peer.reset();
    bed.net.residentBytes = 300 * MB;
    bed.pass(250);
    const welcome = bed.dial();
    bed.pass(250);
    assertMatch(welcome.text, /^\{"timestamp":.*,"token":"/);
  });

  it("goes on serving where it's there for ever although nothing is held", async () => {
    const bed = await MemoryBed.start({ maxMemoryBytes: MAX });
    bed.net.residentBytes = 500 * MB;
    bed.pass(250);
    const reader = bed.subscribed(["t"]);
    const publisher = bed.dial();
    for (let second = 0; second < 20; second++) {
      publisher.send(publish(`{"topic":"t","data":${second},"padding":"${"x".repeat(5_000)}"}`));
      bed.pass(1_000, () => {
        for (const peer of [reader, publisher]) peer.send("PONG\0");
      });
    }
    assertEquals(dataOf(reader), Array.from({ length: 20 }, (_, i) => i));
    assertEquals(bed.server.counters.memoryRefusals, 0);
  });
});
