import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { publish } from "../../support/clients/janus_client.ts";
import { framesOf, MemoryBed } from "../../support/memory/memory_bed.ts";

const KIB = 1024;
const padding = "p".repeat(60_000);

describe("a client that asks to resume a topic on which it is behind", () => {
  it("is answered though publishers go on", async () => {
    const bed = await MemoryBed.start({}, { bufferBytes: 128 * KIB });
    const client = bed.subscribed(["t"]);
    bed.subscribed(["t"], { forgets: true });
    const publisher = bed.dial();
    client.stall();
    for (let i = 0; i < 240; i++) {
      bed.pass(250, () => {
        client.take(256 * KIB);
        bed.net.settle();
        for (let n = 0; n < 6 && publisher.unreadBytes === 0; n++) {
          publisher.send(publish(`{"topic":"t","data":0,"padding":"${padding}"}`));
          bed.net.settle();
        }
      });
      if (i === 40) client.send('{"action":"subscribe","data":"t","resume":{}}\0');
    }
    assertEquals(framesOf(client).filter((frame) => frame.includes('"resume"')).length, 1);
  });
});
