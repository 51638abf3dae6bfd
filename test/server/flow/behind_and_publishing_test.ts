import { assertEquals, assertGreater } from "@std/assert";
import { describe, it } from "node:test";
import { publish } from "../../support/clients/janus_client.ts";
import { MemoryBed } from "../../support/memory/memory_bed.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

describe("a client that is behind on a topic and publishes with receipts", () => {
  it("is read again once it has taken all, however the last of it went out", async () => {
    const bed = await MemoryBed.start({}, { bufferBytes: 256 * KIB });
    const client = bed.subscribed(["t"]);
    client.stall();
    const publisher = bed.dial();
    const padding = "p".repeat(30_000);
    for (let i = 0; i < 45; i++) {
      publisher.send(publish(`{"topic":"t","data":${i},"padding":"${padding}"}`));
      bed.net.settle();
    }
    // More than half of the soft limit waits in its outbox, the rest in the topic's log.
    assertGreater(bed.server.heldBytes, 600 * KIB);
    client.send('{"action":"publish","data":{"topic":"u","data":1}}\0');
    client.send('{"action":"publish","data":{"topic":"u","data":2}}\0');
    bed.net.settle();
    // Its kernel's buffer has room for all that is left, once it has read some.
    client.bufferBytes = 4 * MIB;
    client.flow();
    bed.pass(5_000);
    assertEquals(bed.server.heldBytes, 0);
    client.send('{"action":"publish","data":{"topic":"u","data":3}}\0');
    bed.pass(5_000);
    assertEquals(bed.server.counters.messagesIn, 48);
    assertEquals(bed.ended, []);
  });
});
