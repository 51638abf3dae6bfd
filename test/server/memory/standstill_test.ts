import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { dataOf, MemoryBed } from "../../support/memory/memory_bed.ts";
import { publish } from "../../support/clients/janus_client.ts";

describe("a server whose process stood still for a minute", () => {
  it("blames no client for it", async () => {
    const bed = await MemoryBed.start({}, { bufferBytes: 1_000 });
    const asked = bed.subscribed(["t"]);
    const slow = bed.subscribed(["t"]);
    const fresh = bed.dial();
    slow.stall();
    bed.pass(30_000, () => fresh.send(""));
    const publisher = bed.dial();
    publisher.send(publish(`{"topic":"t","data":1,"padding":"${"p".repeat(500)}"}`).repeat(9));
    bed.net.settle();
    bed.stall(60_000);
    assertEquals(bed.ended.filter(({ reason }) => reason === "slow_consumer"), []);
    asked.send("PONG\0");
    slow.flow();
    slow.send("PONG\0");
    bed.pass(500);
    assertEquals([dataOf(asked).length, dataOf(slow).length], [9, 9]);
    assertEquals(bed.ended.map(({ reason }) => reason), ["idle_timeout"]);
  });
});
