import { assert, assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { Positions } from "../../support/clients/resuming_client.ts";
import { subscribeFrame } from "../../support/clients/resuming_client.ts";
import { Client, gone, outline, publish, resumeOf, start } from "./resume_bed.ts";

describe("what is stored for those that come back", () => {
  it("counts what the history holds, once, and gives it up first when memory is short", async () => {
    const bed = await start({ maxTotalPendingBytes: 400_000 });
    const { counters } = bed.server;
    const big = "x".repeat(30_000);
    for (let i = 0; i < 5; i++) publish(bed, `t${i}`, big);
    assertEquals([counters.historyMessages, counters.historyTopics], [5, 5]);
    assert(counters.historyBytes > 150_000 && counters.historyBytes < 160_000);
    assertEquals(bed.server.heldBytes, 0);
    const slow = bed.dial({ bufferBytes: 1 });
    slow.send('{"action":"subscribe","data":"busy"}\0');
    bed.net.settle();
    slow.stall();
    for (let i = 0; i < 9; i++) publish(bed, "busy", big);
    assert(counters.historyMessages < 14);
    assertEquals(bed.ended.filter(({ reason }) => reason === "slow_consumer"), []);
    assert(bed.server.heldBytes > 270_000);
  });

  it("closes a client that is overtaken while it catches up, which may come again", async () => {
    const bed = await start({ historyMessages: 4 });
    bed.subscribed(["t"]);
    const positions = gone(bed, "t", 1);
    const big = "x".repeat(200);
    publish(bed, "t", big, big, big);
    const client = new Client(bed, positions, { bufferBytes: 500 });
    client.peer.stall();
    client.peer.send(positions.subscribe("t"));
    bed.net.settle();
    for (let i = 0; i < 9; i++) publish(bed, "t", i);
    client.peer.flow();
    bed.net.settle();
    const frames = client.frames();
    const last = frames.at(-1);
    assert(
      last?.what === "error" && last.code === "slow_consumer",
      JSON.stringify(outline(frames)),
    );
    const again = new Client(bed, positions);
    again.peer.send(positions.subscribe("t"));
    bed.net.settle();
    assertEquals(resumeOf(again.frames()).reason, "too_old");
  });

  it("shares what is stored among those that come back, and passes no limit by it", async () => {
    const bed = await start({ maxPendingBytes: 70_000 });
    const positions = gone(bed, "t", 1);
    const big = "x".repeat(60_000);
    publish(bed, "t", ...Array.from({ length: 10 }, () => big));
    const at = positions.of("t")!;
    const clients = Array.from({ length: 20 }, () => {
      const client = new Client(bed, new Positions(), { bufferBytes: 400 });
      client.peer.stall();
      client.peer.send(subscribeFrame("t", { at }));
      return client;
    });
    bed.net.settle();
    // One chunk is in flight for all of them.
    assert(bed.server.heldBytes < 4 * 60_000, `${bed.server.heldBytes}`);
    for (const { peer } of clients) peer.flow();
    bed.net.settle();
    for (const client of clients) {
      assertEquals(outline(client.frames()), ["resume", "ACK", "from", ...Array(10).fill(big)]);
    }
    assertEquals(bed.ended.filter(({ reason }) => reason === "slow_consumer"), []);
    assertEquals(bed.server.heldBytes, 0);
    assertEquals(bed.server.counters.messagesReplayed, 200);
  });

  it("gives many small messages in few writes, and stores them once", async () => {
    const bed = await start();
    const positions = gone(bed, "t", 0);
    const numbers = Array.from({ length: 100 }, (_, n) => n + 1);
    publish(bed, "t", ...numbers);
    const { historyMessages, historyBytes } = bed.server.counters;
    const at = positions.of("t")!;
    for (let i = 0; i < 3; i++) {
      const client = new Client(bed, new Positions());
      const before = client.peer.writeCount;
      client.peer.send(subscribeFrame("t", { at }));
      bed.net.settle();
      assertEquals(outline(client.frames()), ["resume", "ACK", "from", ...numbers]);
      assert(client.peer.writeCount - before <= 4, `${client.peer.writeCount - before} writes`);
    }
    assertEquals(bed.server.counters.historyMessages, historyMessages);
    assert(bed.server.counters.historyBytes < historyBytes);
  });

  it("bounds what one address has replayed, and makes it wait for more", async () => {
    const bed = await start();
    const positions = gone(bed, "t", 1);
    const big = "x".repeat(60_000);
    publish(bed, "t", ...Array.from({ length: 15 }, () => big));
    const frame = subscribeFrame("t", { at: positions.of("t")! });
    const attacker = bed.dial({ from: "192.0.2.1", forgets: true });
    attacker.send(frame.repeat(2_000));
    bed.net.settle();
    const { resumes } = bed.server.counters;
    const atOnce = resumes.ok;
    assert(atOnce >= 590 && atOnce <= 700, `${atOnce} at once`);
    const other = new Client(bed, positions, { from: "192.0.2.2" });
    other.peer.send(frame);
    bed.net.settle();
    assertEquals(resumeOf(other.frames()).missed, 15);
    bed.pass(2_000);
    const more = resumes.ok - atOnce - 1;
    assert(more >= 100 && more <= 200, `${more} in 2 s`);
  });
});
