import { assertEquals, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import { publish } from "../../support/clients/janus_client.ts";
import { MemoryBed } from "../../support/memory/memory_bed.ts";

const MIB = 1024 * 1024;
const READERS = 500;
const MESSAGE_BYTES = 400;

describe("subscribers that fell behind one after the other", () => {
  it("read what the topic keeps in few writes each, however many they are", async () => {
    const bed = await MemoryBed.start({}, { writesPerTurn: 256 });
    const readers = Array.from(
      { length: READERS },
      () => bed.subscribed(["t"], { forgets: true, bufferBytes: MIB }),
    );
    // Each can take one message more than the one before it.
    for (const [i, reader] of readers.entries()) {
      reader.bufferBytes = 64 + i * MESSAGE_BYTES;
      reader.stall();
    }
    bed.net.settle();
    const publisher = bed.dial();
    const count = Math.ceil(MIB / 2 / MESSAGE_BYTES) + READERS + 50;
    for (let n = 0; n < count; n++) {
      const filling = "x".repeat(MESSAGE_BYTES - 60);
      publisher.send(publish(`{"topic":"t","data":1,"filling":"${filling}"}`));
      bed.net.settle();
    }
    assertEquals(bed.server.counters.messagesIn, count);
    const writesBefore = readers.reduce((sum, { writeCount }) => sum + writeCount, 0);
    for (const reader of readers) {
      reader.bufferBytes = 4 * MIB;
      reader.flow();
    }
    bed.net.settle();
    assertEquals(bed.server.heldBytes, 0);
    const writes = readers.reduce((sum, { writeCount }) => sum + writeCount, 0) - writesBefore;
    // A write for each 64 KiB would be 12.
    assertLess(writes / READERS, 40);
  });
});
