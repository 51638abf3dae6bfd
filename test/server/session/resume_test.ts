import { assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "node:test";
import type { Limits } from "../../../server/limits.ts";
import { Positions, type ServerFrame } from "../../support/clients/resuming_client.ts";
import { subscribeFrame } from "../../support/clients/resuming_client.ts";
import { MemoryBed } from "../../support/memory/memory_bed.ts";
import { Client, gone, outline, publish, resumeOf, start } from "./resume_bed.ts";

describe("a subscribe with resume", () => {
  it("tells a newcomer where it stands, and gives it what comes from now on", async () => {
    const bed = await start();
    publish(bed, "t", 1);
    const client = new Client(bed);
    client.peer.send(subscribeFrame("t", {}));
    bed.net.settle();
    publish(bed, "t", 2);
    const frames = client.frames();
    assertEquals(outline(frames), ["resume", "ACK", "from", 2]);
    const { recovered, reason, missed, at } = resumeOf(frames);
    assertEquals({ recovered, reason, missed }, { recovered: false, reason: "new", missed: 0 });
    assertMatch(Object.keys(at).join(), /^[0-9a-f]{16}$/);
  });

  it("gives the last stored messages, the oldest first, fewer if fewer are stored", async () => {
    const bed = await start();
    publish(bed, "t", 1, 2, 3);
    for (const [last, expected] of [[1, [3]], [2, [2, 3]], [1_000, [1, 2, 3]]] as const) {
      const client = new Client(bed);
      client.peer.send(subscribeFrame("t", { last }));
      bed.net.settle();
      const frames = client.frames();
      assertEquals(outline(frames), ["resume", "ACK", "from", ...expected]);
      assertEquals(resumeOf(frames).missed, expected.length);
      assertEquals(resumeOf(frames).reason, "new");
    }
  });

  it("gives a client that comes back what it has missed, as it was, then what comes", async () => {
    const bed = await start();
    const witness = new Client(bed);
    witness.peer.send(subscribeFrame("t", {}));
    bed.net.settle();
    const positions = gone(bed, "t", 1, 2);
    publish(bed, "t", 3, 4);
    const client = new Client(bed, positions);
    client.peer.send(positions.subscribe("t"));
    bed.net.settle();
    publish(bed, "t", 5);
    const frames = client.frames();
    assertEquals(outline(frames), ["resume", "ACK", "from", 3, 4, 5]);
    const { recovered, reason, missed } = resumeOf(frames);
    assertEquals({ recovered, reason, missed }, { recovered: true, reason: "ok", missed: 2 });
    const texts = (all: ServerFrame[]) =>
      all.flatMap((frame) => frame.what === "message" ? [frame.text] : []);
    assertEquals(texts(frames), texts(witness.frames()).slice(2));
  });

  it("counts what was missed in front of what is still on its way to others", async () => {
    const bed = await MemoryBed.start({}, { writesPerTurn: 1 });
    const others = Array.from({ length: 8 }, () => bed.subscribed(["t"]));
    const positions = gone(bed, "t", 1);
    const publisher = bed.dial();
    publisher.send('PUBLISH\0{"topic":"t","data":2}\0');
    for (let turn = 0; turn < 4; turn++) bed.net.turn();
    publisher.send('PUBLISH\0{"topic":"t","data":3}\0');
    const client = new Client(bed, positions);
    client.peer.send(positions.subscribe("t"));
    bed.net.settle();
    const frames = client.frames();
    assertEquals(outline(frames), ["resume", "ACK", "from", 2, 3]);
    assertEquals(others.length, 8);
  });

  it("ends an earlier subscription to the topic", async () => {
    const bed = await start();
    const client = new Client(bed);
    client.peer.send(subscribeFrame("t", {}));
    bed.net.settle();
    publish(bed, "t", 1, 2);
    client.frames();
    client.peer.send(client.positions.subscribe("t") + subscribeFrame("t", { last: 1 }));
    bed.net.settle();
    publish(bed, "t", 3);
    assertEquals(outline(client.frames()), [
      ...["resume", "ACK", "from"],
      ...["resume", "ACK", "from", 2],
      3,
    ]);
    assertEquals(bed.server.counters.subscriptions, 1);
    client.peer.send('{"action":"unsubscribe","data":"t"}\0');
    publish(bed, "t", 4);
    assertEquals(outline(client.frames()), []);
    assertEquals(bed.server.counters.subscriptions, 0);
  });

  it("gives a client that unsubscribes meanwhile what was accepted before", async () => {
    const bed = await start();
    const positions = gone(bed, "t", 1);
    publish(bed, "t", 2, 3);
    const client = new Client(bed, positions, { bufferBytes: 300 });
    client.peer.send(positions.subscribe("t") + '{"action":"unsubscribe","data":"t"}\0');
    client.peer.send('{"action":"subscribe","data":"t"}\0');
    bed.net.settle();
    publish(bed, "t", 4);
    assertEquals(outline(client.frames()), ["resume", "ACK", "from", 2, 3, "ACK", 4]);
  });

  it("gives a client that ends its side all that was there", async () => {
    const bed = await start();
    const positions = gone(bed, "t", 1);
    publish(bed, "t", 2, 3);
    const client = new Client(bed, positions);
    client.peer.send(positions.subscribe("t"));
    client.peer.end();
    bed.net.settle();
    assertEquals(outline(client.frames()), ["resume", "ACK", "from", 2, 3]);
    assertEquals(client.peer.ended, true);
  });

  it("says off where the server stores nothing of the topic", async () => {
    for (const limits of [{ historyMs: 0 }, { historyTopics: ["a*", "*z"] }]) {
      const bed = await start(limits);
      const positions = gone(bed, "t", 1);
      publish(bed, "t", 2);
      const client = new Client(bed, positions);
      client.peer.send(positions.subscribe("t"));
      bed.net.settle();
      const frames = client.frames();
      assertEquals(outline(frames), ["resume", "ACK", "from"]);
      const { recovered, reason, missed } = resumeOf(frames);
      assertEquals({ recovered, reason, missed }, { recovered: false, reason: "off", missed: 0 });
    }
  });

  it("says too_old where some is gone, by number, by bytes, by age, or for want of memory", async () => {
    const cases: Partial<Limits>[] = [
      { historyMessages: 2 },
      { historyBytes: 150 },
      { historyMs: 1_000 },
      { historyTotalBytes: 1_000 },
      { maxTopicsTotal: 1 },
    ];
    for (const limits of cases) {
      const bed = await start(limits);
      const positions = gone(bed, "t", 1);
      publish(bed, "t", 2, 3, 4);
      if (limits.maxTopicsTotal !== undefined) publish(bed, "u", 1);
      if (limits.historyMs !== undefined) bed.pass(2_000);
      const client = new Client(bed, positions);
      client.peer.send(positions.subscribe("t"));
      bed.net.settle();
      const frames = client.frames();
      const told = JSON.stringify(limits);
      assertEquals(outline(frames), ["resume", "ACK", "from"], told);
      assertEquals(resumeOf(frames).reason, "too_old", told);
      // From now on it's in the picture again.
      client.peer.reset();
      bed.net.settle();
      const again = new Client(bed, positions);
      again.peer.send(positions.subscribe("t"));
      bed.net.settle();
      assertEquals(resumeOf(again.frames()).reason, "ok", told);
    }
  });

  it("is exact about the number of messages, however they were joined", async () => {
    const bed = await start({ historyMessages: 3 });
    bed.subscribed(["t"]);
    const positions = gone(bed, "t", 1);
    const peer = bed.dial();
    peer.send([2, 3, 4].map((n) => `PUBLISH\0{"topic":"t","data":${n}}\0`).join(""));
    bed.net.settle();
    const client = new Client(bed, positions);
    client.peer.send(positions.subscribe("t"));
    bed.net.settle();
    assertEquals(outline(client.frames()), ["resume", "ACK", "from", 2, 3, 4]);
    peer.send('PUBLISH\0{"topic":"t","data":5}\0');
    bed.net.settle();
    const late = new Client(bed);
    late.peer.send(subscribeFrame("t", { last: 1_000 }));
    bed.net.settle();
    assertEquals(outline(late.frames()), ["resume", "ACK", "from", 3, 4, 5]);
  });

  it("says unknown_origin of a run of the server that it doesn't know, and of its own future", async () => {
    const bed = await start();
    const positions = gone(bed, "t", 1);
    const [[own, micros]] = Object.entries(positions.of("t")!) as [[string, number]];
    for (const at of [{ "0123456789abcdef": 1 }, { [own]: micros + 1 }]) {
      const client = new Client(bed);
      client.peer.send(subscribeFrame("t", { at }));
      bed.net.settle();
      assertEquals(resumeOf(client.frames()).reason, "unknown_origin");
    }
  });

  it("remembers what is gone of topics that nobody is subscribed to any more", async () => {
    const bed = await start({ historyMs: 1_000 });
    const old = gone(bed, "t", 1);
    const oldQuiet = gone(bed, "quiet");
    const young = gone(bed, "t", 2);
    bed.pass(2_000);
    assertEquals(bed.server.counters.historyMessages, 0);
    const reasonFor = (positions: Positions, topic: string) => {
      const client = new Client(bed, positions);
      client.peer.send(positions.subscribe(topic));
      bed.net.settle();
      client.peer.reset();
      return resumeOf(client.frames()).reason;
    };
    assertEquals(reasonFor(old, "t"), "too_old");
    assertEquals(reasonFor(young, "t"), "ok");
    assertEquals(reasonFor(oldQuiet, "quiet"), "ok");
  });
});
