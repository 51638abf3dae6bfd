import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import {
  message,
  publish,
  publishForReceipt,
  subscribe,
} from "../../support/clients/janus_client.ts";
import { dataOf, framesOf, MemoryBed } from "../../support/memory/memory_bed.ts";

const TOPICS = Array.from({ length: 20 }, (_, i) => `topic${i}`);

/** A message to each topic, whose `data` is the topic's place and a number. */
function toEach(number: number): string {
  return TOPICS.map((topic, place) => publish(message(topic, [place, number]))).join("");
}

for (const answers of ["at once", "late"] as const) {
  describe(`what several topics have for one client (writes end ${answers})`, () => {
    it("goes out in one write, each topic's in its order", async () => {
      const bed = await MemoryBed.start({}, { answers });
      const reader = bed.subscribed(TOPICS);
      const publisher = bed.dial();
      const before = reader.writeCount;
      publisher.send(toEach(0) + toEach(1) + toEach(2));
      bed.net.settle();
      assertEquals(reader.writeCount, before + 1);
      const data = dataOf(reader) as [number, number][];
      assertEquals(data.length, 3 * TOPICS.length);
      for (const place of TOPICS.keys()) {
        assertEquals(data.filter(([at]) => at === place).map(([, number]) => number), [0, 1, 2]);
      }
    });

    it("comes behind the answer to what it asked before, and in front of the next", async () => {
      const bed = await MemoryBed.start({}, { answers });
      const client = bed.subscribed(TOPICS);
      client.send(toEach(0) + subscribe("more") + publish(message("more", "last")));
      bed.net.settle();
      const frames = framesOf(client);
      assertEquals(frames.filter((frame) => frame === "ACK").length, TOPICS.length + 1);
      assertEquals(dataOf(client).length, TOPICS.length + 1);
      assertEquals(frames.lastIndexOf("ACK") < frames.findIndex((f) => f.includes("last")), true);
    });

    it("comes though it ends its side, or the server stops", async () => {
      for (const end of ["client", "server"] as const) {
        const bed = await MemoryBed.start({}, { answers, writesPerTurn: 1 });
        const reader = bed.subscribed(TOPICS);
        const publisher = bed.dial();
        publisher.send(toEach(0));
        // Some topics have left theirs, others come yet.
        for (let turn = 0; turn < 3; turn++) bed.net.turn();
        if (end === "client") reader.end();
        else bed.server.stop();
        bed.pass(2_000);
        assertEquals(dataOf(reader).length, TOPICS.length, end);
        assertEquals(bed.server.heldBytes, 0);
      }
    });

    it("isn't kept back where a receipt tells whether it's written", async () => {
      const bed = await MemoryBed.start({}, { answers });
      bed.subscribed(TOPICS);
      const publisher = bed.dial();
      publisher.send(toEach(0) + TOPICS.map((topic) => publishForReceipt(message(topic))).join(""));
      bed.net.settle();
      const receipts = framesOf(publisher).map((frame) => JSON.parse(frame));
      assertEquals(receipts.length, TOPICS.length);
      for (const { receipt } of receipts) assertEquals([receipt.written, receipt.queued], [1, 0]);
    });
  });
}
