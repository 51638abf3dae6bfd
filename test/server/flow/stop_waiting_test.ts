import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import { errorOf, publish } from "../../support/clients/janus_client.ts";
import { dataOf, framesOf, MemoryBed } from "../../support/memory/memory_bed.ts";
import { quiet } from "../../support/until.ts";

const KIB = 1024;

describe("a stop while a publisher is made to wait", () => {
  it("reads all that had arrived from it, and delivers it, before it tells any client", async () => {
    const bed = await MemoryBed.start({ softPendingBytes: 64 * KIB }, {
      turns: "automatic",
      bufferBytes: 4 * KIB * KIB,
    });
    const lagging = bed.subscribed(["t"], { bufferBytes: 16 * KIB });
    const healthy = bed.subscribed(["t"]);
    const publisher = bed.dial();
    const padding = "p".repeat(4 * KIB);
    const numbers = Array.from({ length: 500 }, (_, i) => i);
    publisher.send(
      numbers.map((i) => publish(`{"topic":"t","data":${i},"padding":"${padding}"}`)).join(""),
    );
    for (let turn = 0; turn < 15; turn++) bed.net.turn();
    lagging.stall();
    bed.net.settle();
    assertGreater(bed.server.counters.publisherPauses, 0);
    assertLess(bed.server.counters.messagesIn, 250);
    const stopped = bed.server.stop();
    // Longer than it takes to find that nothing comes any more.
    await quiet(400);
    assertEquals(bed.ended, []);
    lagging.flow();
    for (const peer of [lagging, healthy, publisher]) {
      while (!peer.ended) await quiet(1);
      peer.end();
    }
    await stopped;
    for (const peer of [lagging, healthy]) {
      const frames = framesOf(peer);
      assertEquals(errorOf(frames.at(-1)).code, "server_shutdown");
      assertEquals(dataOf(peer).slice(0, -1), numbers);
    }
  });
});
