import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "node:test";
import type { Limits } from "../../../server/limits.ts";
import { Positions, type Resume, type ServerFrame } from "../../support/clients/resuming_client.ts";
import { subscribeFrame } from "../../support/clients/resuming_client.ts";
import { MemoryBed } from "../../support/memory/memory_bed.ts";
import type { DialOptions, MemoryPeer } from "../../support/memory/memory_peer.ts";

/** A client in memory that knows its position. */
class Client {
  readonly positions: Positions;
  readonly peer: MemoryPeer;
  #takenBytes = 0;

  constructor(bed: MemoryBed, positions = new Positions(), options: DialOptions = {}) {
    this.positions = positions;
    positions.reconnect();
    this.peer = bed.dial(options);
  }

  /** The frames that have come since the last call. */
  frames(): ServerFrame[] {
    const { received } = this.peer;
    const text = new TextDecoder().decode(received.subarray(this.#takenBytes));
    const end = text.lastIndexOf("\x01") + 1;
    this.#takenBytes += new TextEncoder().encode(text.slice(0, end)).length;
    return text.slice(0, end).split("\x01").slice(0, -1).map((frame) => this.positions.take(frame));
  }
}

function publish(bed: MemoryBed, topic: string, ...data: unknown[]): void {
  const peer = bed.dial();
  for (const each of data) {
    peer.send(`PUBLISH\0${JSON.stringify({ topic, data: each })}\0`);
    bed.net.settle();
  }
  peer.reset();
  bed.net.settle();
}

/** What came, in short: the words, and the data of messages. */
function outline(frames: readonly ServerFrame[]): unknown[] {
  return frames.filter(({ what }) => what !== "token").map((frame) =>
    frame.what === "message" ? frame.data : frame.what
  );
}

function resumeOf(frames: readonly ServerFrame[]): Resume {
  const frame = frames.find(({ what }) => what === "resume");
  assert(frame?.what === "resume");
  return frame.resume;
}

async function start(limits: Partial<Limits> = {}): Promise<MemoryBed> {
  return await MemoryBed.start(limits);
}

/** A client that has subscribed with `resume`, has had some messages, and is gone. */
function gone(bed: MemoryBed, topic: string, ...data: unknown[]): Positions {
  const client = new Client(bed);
  client.peer.send(client.positions.subscribe(topic));
  bed.net.settle();
  publish(bed, topic, ...data);
  client.frames();
  client.peer.reset();
  bed.net.settle();
  return client.positions;
}

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
