import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import { message, publish, publishForReceipt } from "../support/janus_client.ts";
import { dataOf, MemoryBed } from "../support/memory_bed.ts";

const FLOODERS = 300;
const TURNS_PER_MESSAGE = 20;

/** What a turn reads at most, in small messages. */
const TURN = 1_024;

describe("a client that says little", () => {
  for (
    const [what, frame] of [
      ["messages", publish(message("nobody"))],
      ["messages for receipts", publishForReceipt(message("nobody"))],
    ] as const
  ) {
    it(`waits for no backlog of others at its address, of ${what}`, async () => {
      // What a runtime reads of each at once.
      const bed = await MemoryBed.start({}, { bufferBytes: 4_096 });
      const reader = bed.subscribed(["calm"]);
      const publisher = bed.dial();
      publisher.send(publish(message("calm", -1)));
      const flooders = Array.from({ length: FLOODERS }, () => bed.dial());
      for (const flooder of flooders) flooder.send(frame.repeat(4_000));
      const { counters } = bed.server;
      for (let turn = 0; turn < 100; turn++) bed.net.turn();
      let worst = 0;
      for (let n = 0; n < 30; n++) {
        const before = counters.messagesIn;
        const arrived = dataOf(reader).length;
        publisher.send(publish(message("calm", n)));
        for (let turn = 0; turn < TURNS_PER_MESSAGE || dataOf(reader).length === arrived; turn++) {
          bed.net.turn();
          if (dataOf(reader).length > arrived) continue;
          worst = Math.max(worst, counters.messagesIn - before);
        }
      }
      assertGreater(flooders.filter(({ unreadBytes }) => unreadBytes > 0).length, FLOODERS / 2);
      assertLess(worst, 3 * TURN);
      assertEquals(bed.ended, []);
      for (const flooder of flooders) flooder.reset();
      bed.net.settle();
      assertEquals(dataOf(reader), Array.from({ length: 31 }, (_, i) => i - 1));
    });
  }
});
