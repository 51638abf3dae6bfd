import { assert, assertEquals, assertGreater, assertLessOrEqual } from "@std/assert";
import { after, before, describe, it } from "node:test";
import { JanusBed, withServer } from "../../support/clients/janus_bed.ts";
import {
  type JanusClient,
  message,
  publish,
  subscribe,
  unstamp,
  unsubscribe,
} from "../../support/clients/janus_client.ts";
import { quiet, until } from "../../support/until.ts";

/** The `data` of a publisher's message. */
function dataOf(frame: string): string {
  return (JSON.parse(frame) as { data: string }).data;
}

/** Fails where two lists of frames differ; quick on many thousands. */
function assertSame(actual: readonly string[], expected: readonly string[], what: string): void {
  const at = actual.findIndex((frame, i) => frame !== expected[i]);
  assertEquals(actual[at], expected[at], `${what}, at ${at}`);
  assertEquals(actual.length, expected.length, what);
}

/** Publishes `<name>:<number>` again and again until it's stopped. */
class Storm {
  readonly #client: JanusClient;
  readonly #topic: string;
  readonly #name: string;
  readonly #over: Promise<void>;
  #isStopped = false;
  /** Messages sent so far. */
  sentCount = 0;

  constructor(client: JanusClient, topic: string, name: string) {
    this.#client = client;
    this.#topic = topic;
    this.#name = name;
    this.#over = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      let burst = "";
      for (let i = 0; i < 20; i++) {
        burst += publish(message(this.#topic, `${this.#name}:${this.sentCount++}`));
      }
      await this.#client.sent(burst);
      await quiet(1);
    }
  }

  /** All that was sent is accepted. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#over;
    await this.#client.synced();
  }
}

describe("promises", () => {
  let bed: JanusBed;
  before(async () => bed = await JanusBed.start());
  after(() => bed.stop());

  /** The frames up to the message with this data. */
  async function framesUntil(client: JanusClient, data: string): Promise<string[]> {
    const frames: string[] = [];
    do {
      frames.push(await client.frame());
    } while (dataOf(frames.at(-1)!) !== data);
    return frames;
  }

  async function storms(topic: string, count: number): Promise<Storm[]> {
    const clients = await Promise.all(Array.from({ length: count }, () => bed.greeted()));
    return clients.map((client, i) => new Storm(client, topic, String(i)));
  }

  it("shows all subscribers the messages of concurrent publishers in one order", async () => {
    const subscribers: JanusClient[] = [];
    for (let i = 0; i < 40; i++) subscribers.push(await bed.subscribed("order"));
    const publishers = await Promise.all(Array.from({ length: 8 }, () => bed.greeted()));
    await Promise.all(publishers.map(async (publisher, p) => {
      for (let i = 0; i < 200; i++) {
        await publisher.sent(publish(message("order", `${p}:${i}`)));
      }
    }));
    const [first, ...others] = await Promise.all(
      subscribers.map((subscriber) => subscriber.next(1600)),
    );
    for (const other of others) assertSame(other, first!, "the same messages");
    const data = first!.map(dataOf);
    for (let p = 0; p < 8; p++) {
      const own = data.filter((text) => text.startsWith(`${p}:`));
      assertEquals(own, Array.from({ length: 200 }, (_, i) => `${p}:${i}`));
    }
  });

  it("stamps a message once, and each later than the one before", async () => {
    const both = await bed.subscribed("stamp-a", "stamp-b");
    const one = await bed.subscribed("stamp-a");
    const publisher = await bed.greeted();
    for (let i = 0; i < 300; i++) {
      publisher.send(publish(message(i % 2 === 0 ? "stamp-a" : "stamp-b", i)));
    }
    const frames = await both.next(300);
    assertEquals(await one.next(150), frames.filter((frame) => frame.includes("stamp-a")));
    const stamps = frames.map((frame) => ({
      number: (JSON.parse(frame) as { data: number }).data,
      micros: unstamp(frame).micros,
    })).sort((a, b) => a.number - b.number);
    stamps.forEach(({ number }, index) => assertEquals(number, index));
    for (let i = 1; i < 300; i++) assertGreater(stamps[i]!.micros, stamps[i - 1]!.micros);
  });

  it("never issues a timestamp twice, whatever it stands in", async () => {
    const receiver = await bed.subscribed("unique");
    const publisher = await bed.greeted();
    const seen = new Set<number>();
    const take = (frame: string) => {
      const { micros } = unstamp(frame);
      assert(!seen.has(micros));
      seen.add(micros);
      return micros;
    };
    let last = 0;
    for (let i = 0; i < 20; i++) {
      const client = await bed.open();
      const greeted = take(await client.frame());
      assertGreater(greeted, last);
      publisher.send(publish(message("unique")));
      const published = take(await receiver.frame());
      assertGreater(published, greeted);
      client.send("nonsense\0");
      last = take(await client.frame());
      assertGreater(last, published);
    }
  });

  it("delivers nothing that was accepted before the subscribe", async () => {
    const present: JanusClient[] = [];
    for (let i = 0; i < 30; i++) present.push(await bed.subscribed("early"));
    const client = await bed.greeted();
    // In one segment, so that the fan-out of the first is still to come when the second is read.
    client.send(publish(message("early", "before")) + subscribe("early"));
    client.send(publish(message("early", "after")));
    assertEquals(await client.frame(), "ACK");
    assertEquals(dataOf(await client.frame()), "after");
    for (const other of present) {
      assertEquals((await other.next(2)).map(dataOf), ["before", "after"]);
    }
  });

  it("delivers everything from the ACK on, also in the middle of a storm", async () => {
    const witness = await bed.subscribed("storm");
    const publishing = await storms("storm", 3);
    const joined: { client: JanusClient; sentAtAck: number[] }[] = [];
    for (let i = 0; i < 20; i++) {
      await witness.frame();
      const client = await bed.subscribed("storm");
      joined.push({ client, sentAtAck: publishing.map(({ sentCount }) => sentCount) });
    }
    for (const storm of publishing) await storm.stop();
    const publisher = await bed.greeted();
    publisher.send(publish(message("storm", "the end")));
    const everything = await framesUntil(witness, "the end");
    for (const { client, sentAtAck } of joined) {
      const got = await framesUntil(client, "the end");
      assertSame(got, everything.slice(-got.length), "from its first message on");
      const data = got.map(dataOf);
      sentAtAck.forEach((sent, p) => {
        const first = data.find((text) => text.startsWith(`${p}:`));
        if (first === undefined) assertEquals(publishing[p]!.sentCount, sent);
        else assertLessOrEqual(Number(first.split(":")[1]), sent);
      });
    }
  });

  it("delivers what was accepted before an unsubscribe and nothing after it, in a storm", async () => {
    const witness = await bed.subscribed("leave");
    const publishing = await storms("leave", 3);
    const left: JanusClient[] = [];
    for (let i = 0; i < 20; i++) {
      const client = await bed.subscribed("leave");
      await until("some messages come", () => client.frames.length > i);
      client.send(
        publish(message("leave", `last of ${i}`)) + unsubscribe("leave") +
          publish(message("leave", `behind ${i}`)),
      );
      await client.synced();
      left.push(client);
    }
    for (const storm of publishing) await storm.stop();
    const publisher = await bed.greeted();
    publisher.send(publish(message("leave", "the end")));
    const everything = await framesUntil(witness, "the end");
    const places = new Map(everything.map((frame, place) => [frame, place]));
    for (const [i, client] of left.entries()) {
      await client.synced();
      const from = places.get(client.frames[0]!)!;
      const length = client.frames.length;
      assertSame(client.frames, everything.slice(from, from + length), "without a gap");
      const data = client.frames.map(dataOf);
      assert(data.includes(`last of ${i}`), `it missed its last of ${data.length} messages`);
      assert(!data.includes(`behind ${i}`));
    }
  });

  it("keeps apart what comes before and after on one connection, in one segment", async () => {
    const others: JanusClient[] = [];
    for (let i = 0; i < 20; i++) others.push(await bed.subscribed("toggle"));
    const client = await bed.greeted();
    let script = "";
    const expected: string[] = [];
    for (let i = 0; i < 100; i++) {
      script += publish(message("toggle", `out ${i}`)) + subscribe("toggle") +
        publish(message("toggle", `in ${i}`)) + unsubscribe("toggle");
      expected.push(`in ${i}`);
    }
    client.send(script);
    const frames = await client.next(200);
    assertEquals(frames.filter((frame) => frame === "ACK").length, 100);
    assertEquals(frames.filter((frame) => frame !== "ACK").map(dataOf), expected);
    // Each subscription's ACK comes before its first message.
    let acks = 0;
    for (const frame of frames) {
      if (frame === "ACK") acks++;
      else assertLessOrEqual(Number(dataOf(frame).slice(3)), acks - 1);
    }
    for (const other of others) {
      const data = (await other.next(200)).map(dataOf);
      assertEquals(data, expected.flatMap((_, i) => [`out ${i}`, `in ${i}`]));
    }
  });

  it("sends a client that half-closes what is queued for it, then FIN", async () => {
    await withServer(
      { softPendingBytes: 64 * 1024 * 1024, maxPendingBytes: 64 * 1024 * 1024 },
      async (bed) => {
        const client = await bed.subscribed("half");
        const publisher = await bed.greeted();
        client.pause();
        const data = "x".repeat(60_000);
        for (let i = 0; i < 200; i++) {
          await publisher.sent(
            publish(message("half", `${i} ${data}`)),
          );
        }
        await publisher.synced();
        client.end();
        await bed.untilEnded("client_closed");
        // Far more than the kernels hold between the two.
        assertGreater(bed.ended[0]!.pendingBytes, 1_000_000);
        publisher.send(publish(message("half", "too late")));
        await publisher.synced();
        client.resume();
        const { how, frames } = await client.closed();
        assertEquals(how, "fin");
        assertEquals(
          frames.map((frame) => dataOf(frame).split(" ")[0]),
          Array.from({ length: 200 }, (_, i) => String(i)),
        );
        assertEquals(client.partialFrame.length, 0);
      },
    );
  });

  it("accepts what a client sent before it half-closed", async () => {
    const receiver = await bed.subscribed("last-words");
    const client = await bed.greeted();
    client.send(
      subscribe("last-words") + publish(message("last-words", 1)) +
        publish(message("last-words", 2)),
    );
    client.end();
    assertEquals((await receiver.next(2)).map(dataOf).map(Number), [1, 2]);
    const { how, frames } = await client.closed();
    assertEquals(how, "fin");
    assertEquals(frames[0], "ACK");
    assertEquals(frames.slice(1).map(dataOf).map(Number), [1, 2]);
  });

  it("closes at once who half-closes with nothing queued", async () => {
    const client = await bed.subscribed("quiet");
    client.end();
    assertEquals(await client.closed(), { how: "fin", frames: [] });
  });

  it("drops a peer that doesn't close its side, a while after its own", async () => {
    await withServer({}, async (bed) => {
      const client = await bed.greeted({ lingers: true });
      client.send("nonsense\0");
      assertEquals((await client.closed()).how, "fin");
      await quiet(200);
      assertEquals(bed.server.counters.connections, 1);
      while (bed.server.counters.connections > 0) await quiet(50);
    });
  });
});
