import { assertEquals, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import { dataOf, framesOf, MemoryBed } from "../../support/memory/memory_bed.ts";
import { publish, subscribe, unsubscribe } from "../../support/clients/janus_client.ts";

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** A message with a number. */
function numbered(n: number): string {
  return publish(`{"topic":"t","data":${n}}`);
}

describe("a client that comes and goes on a topic", () => {
  it("doesn't break up what is joined for the others into a pass for each message", async () => {
    const bed = await MemoryBed.start({}, { bufferBytes: 1024 * 1024 });
    const readers = upTo(20).map(() => bed.subscribed(["t"]));
    const attacker = bed.subscribed(["t"]);
    const writes = readers.map(({ writeCount }) => writeCount);
    attacker.send(
      upTo(500).map((n) => numbered(n) + unsubscribe("t") + subscribe("t")).join(""),
    );
    bed.net.settle();
    for (const [i, reader] of readers.entries()) {
      assertEquals(dataOf(reader), upTo(500));
      assertLess(reader.writeCount - writes[i]!, 20);
    }
    assertEquals(dataOf(attacker), upTo(500));
    assertEquals(framesOf(attacker).filter((frame) => frame === "ACK").length, 501);
  });

  it("doesn't keep a pass over the others from coming to its end", async () => {
    const bed = await MemoryBed.start({}, { writesPerTurn: 4, bufferBytes: 1024 * 1024 });
    const readers = upTo(40).map(() => bed.subscribed(["t"]));
    const attacker = bed.dial({ forgets: true });
    const publisher = bed.dial();
    publisher.send(numbered(0));
    bed.net.turn();
    publisher.send(numbered(1));
    for (let turn = 0; turn < 60; turn++) {
      attacker.send((subscribe("t") + unsubscribe("t")).repeat(20));
      bed.net.turn();
    }
    for (const reader of readers) assertEquals(dataOf(reader), [0, 1]);
  });
});
