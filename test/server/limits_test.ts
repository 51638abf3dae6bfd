import { assert, assertEquals, assertMatch, assertNotMatch, assertRejects } from "@std/assert";
import { describe, it } from "node:test";
import { maxConnectionsFor } from "../../host/capacity.ts";
import { DEFAULT_LIMITS } from "../../server/limits.ts";
import { ownConnectionsFor, SUPERVISOR_BYTES, workerLimits } from "../../server/limits/derived.ts";
import { completeLimits, serve } from "../../server/serve.ts";
import { type JanusBed, withServer } from "../support/clients/janus_bed.ts";
import {
  delivered,
  errorOf,
  GREETING,
  type JanusClient,
  message,
  publish,
  subscribe,
  unstamp,
  unsubscribe,
} from "../support/clients/janus_client.ts";
import { until } from "../support/until.ts";

async function assertEnds(client: JanusClient, code: string): Promise<void> {
  const { how, frames } = await client.closed();
  assertEquals(how, "fin");
  assertEquals(frames.map((frame) => errorOf(frame).code), [code]);
}

/** A MESSAGE of that many bytes. */
function messageOf(bytes: number, topic: string): string {
  const empty = message(topic, "");
  return message(topic, "x".repeat(bytes - empty.length));
}

/** A subscribe frame of that many bytes, its terminator not counted. */
function subscribeOf(bytes: number, topic: string): string {
  const frame = subscribe(topic).slice(0, -1);
  return `${frame.slice(0, -1)}${" ".repeat(bytes - frame.length)}}\0`;
}

describe("the frame limit", () => {
  for (const limit of [64 * 1024, 1000]) {
    it(`takes a MESSAGE of ${limit} bytes and no more`, async () => {
      await withServer(limit === 64 * 1024 ? {} : { maxFrameBytes: limit }, async (bed) => {
        const receiver = await bed.subscribed("size");
        const fits = messageOf(limit, "size");
        const client = await bed.greeted();
        client.send(publish(fits) + publish(fits));
        for (let i = 0; i < 2; i++) {
          assertEquals(unstamp(await receiver.frame()).rest, delivered(fits));
        }
        client.send(publish(messageOf(limit + 1, "size")));
        await assertEnds(client, "frame_too_large");
        const legacy = await bed.greeted();
        legacy.send(`PUBLISH\0${messageOf(limit + 1, "size")}`);
        await assertEnds(legacy, "frame_too_large");
        await receiver.synced();
        assertEquals(receiver.frames, []);
      });
    });

    it(`takes a frame of ${limit} bytes and no more`, async () => {
      await withServer(limit === 64 * 1024 ? {} : { maxFrameBytes: limit }, async (bed) => {
        const client = await bed.greeted();
        client.send(subscribeOf(limit, "a") + subscribeOf(limit, "b"));
        assertEquals(await client.next(2), ["ACK", "ACK"]);
        client.send(subscribeOf(limit + 1, "c"));
        await assertEnds(client, "frame_too_large");
      });
    });

    it(`finds ${limit} bytes too many in however small segments they come`, async () => {
      await withServer(limit === 64 * 1024 ? {} : { maxFrameBytes: limit }, async (bed) => {
        const step = Math.ceil(limit / 40);
        for (const start of ["", "PUBLISH\0"]) {
          for (const frame of [messageOf(limit, "split"), messageOf(limit + 1, "split")]) {
            const client = await bed.greeted();
            const bytes = start + frame;
            for (let at = 0; at < bytes.length; at += step) {
              await client.sent(bytes.slice(at, at + step));
            }
            if (frame.length > limit) await assertEnds(client, "frame_too_large");
            else if (start !== "") {
              client.send("\0");
              await client.synced();
            }
          }
        }
      });
    });
  }

  it("doesn't wait for a terminator that never comes", async () => {
    await withServer({ maxFrameBytes: 100 }, async (bed) => {
      const client = await bed.greeted();
      client.send("x".repeat(101));
      await assertEnds(client, "frame_too_large");
      const open = await bed.greeted();
      open.send(`PUBLISH\0{"topic":"${"x".repeat(92)}`);
      await assertEnds(open, "frame_too_large");
    });
  });
});

describe("the topic limit", () => {
  it("lets one connection subscribe to 128 topics, and to each of them again", async () => {
    await withServer({}, async (bed) => {
      const client = await bed.greeted();
      const all = Array.from({ length: 128 }, (_, i) => subscribe(`t${i}`)).join("");
      client.send(all + all);
      assertEquals(new Set(await client.next(256)), new Set(["ACK"]));
      client.send(subscribe("t128"));
      await assertEnds(client, "too_many_topics");
      const other = await bed.greeted();
      other.send(all);
      await other.next(128);
    });
  });

  it("frees a place with each unsubscribe", async () => {
    await withServer({ maxTopics: 2 }, async (bed) => {
      const client = await bed.subscribed("a", "b");
      client.send(unsubscribe("nothing") + unsubscribe("a") + subscribe("c"));
      assertEquals(await client.frame(), "ACK");
      client.send(subscribe("a"));
      await assertEnds(client, "too_many_topics");
    });
  });

  it("sends what was accepted for the topics before it closes", async () => {
    await withServer({ maxTopics: 1 }, async (bed) => {
      const client = await bed.subscribed("a");
      client.send(publish(message("a")) + subscribe("b"));
      const { frames } = await client.closed();
      assertEquals(unstamp(frames[0]!).rest, delivered(message("a")));
      assertEquals(errorOf(frames[1]).code, "too_many_topics");
    });
  });
});

describe("the topic's own limit", () => {
  it("may be lower than the protocol's, in bytes of UTF-8", async () => {
    await withServer({ maxTopicBytes: 10 }, async (bed) => {
      const receiver = await bed.subscribed("ten bytes!", "ééééé");
      const client = await bed.greeted();
      client.send(publish(message("ten bytes!")));
      assertEquals(unstamp(await receiver.frame()).rest, delivered(message("ten bytes!")));
      for (const topic of ["eleven byte", "éééééx"]) {
        const subscriber = await bed.greeted();
        subscriber.send(subscribe(topic));
        await assertEnds(subscriber, "bad_frame");
        const publisher = await bed.greeted();
        publisher.send(publish(message(topic)));
        await assertEnds(publisher, "bad_message");
      }
    });
  });
});

describe("the connection limit", () => {
  async function assertFull(bed: JanusBed): Promise<void> {
    const client = await bed.open();
    await assertEnds(client, "too_many_connections");
  }

  it("tells one too many so instead of a greeting, and keeps the others", async () => {
    await withServer({ maxConnections: 3 }, async (bed) => {
      const clients = [await bed.subscribed("t"), await bed.greeted(), await bed.greeted()];
      for (let i = 0; i < 5; i++) await assertFull(bed);
      clients[1]!.send(publish(message("t")));
      assertEquals(unstamp(await clients[0]!.frame()).rest, delivered(message("t")));
      for (const client of clients) await client.synced();
      assertEquals(bed.ended.map(({ reason }) => reason), Array(5).fill("too_many_connections"));
    });
  });

  it("gives a place to the next one, however the last one left it", async () => {
    await withServer({ maxConnections: 2 }, async (bed) => {
      await bed.greeted();
      for (const leave of ["end", "reset", "close", "error"] as const) {
        const client = await bed.greeted();
        await assertFull(bed);
        if (leave === "error") client.send("nonsense\0");
        else client[leave]();
        await until("the place is free", () => bed.server.counters.connections < 2);
      }
      await bed.greeted();
      await assertFull(bed);
    });
  });

  it("counts right, in whatever order others come and go", async () => {
    await withServer({ maxConnections: 12, maxConnectionsPerIp: 12 }, async (bed) => {
      let clients: JanusClient[] = [];
      for (let round = 0; round < 6; round++) {
        while (clients.length < 12) clients.push(await bed.greeted());
        await assertFull(bed);
        const leaving = clients.filter((_, i) => i % 3 !== round % 3);
        clients = clients.filter((_, i) => i % 3 === round % 3);
        for (const client of leaving) {
          client.end();
          await client.closed();
        }
        await until("they have gone", () => bed.server.counters.connections === clients.length);
      }
    });
  });

  it("answers a crowd that is too large, and has room when it has gone", async () => {
    await withServer({ maxConnections: 10, maxConnectionsPerIp: 10 }, async (bed) => {
      const crowd = Array.from({ length: 200 }, () => bed.begin());
      await until(
        "each has an answer or none",
        () => crowd.every((client) => client.frames.length > 0 || client.ended !== null),
      );
      const first = crowd.map((client) => client.frames[0] ?? "");
      assertEquals(first.filter((frame) => GREETING.test(frame)).length, 10);
      for (const frame of first) {
        if (frame !== "") assertMatch(frame, /"token"|"too_many_connections"/);
      }
      for (const client of crowd) client.close();
      await until("all have gone", () => bed.server.counters.connections === 0);
      await bed.greeted();
    });
  });

  it("closes on those who are too many and don't close their side", async () => {
    await withServer({ maxConnections: 1 }, async (bed) => {
      await bed.greeted();
      const staying = await bed.open({ lingers: true });
      assertEquals(errorOf(await staying.frame()).code, "too_many_connections");
      await until("it is dropped", () => bed.server.counters.connections === 1);
    });
  });

  it("tells those whose first bytes it waits for before it stops", async () => {
    await withServer({ maxConnections: 1 }, async (bed) => {
      await bed.greeted();
      const silent = await bed.open();
      await until("it is accepted", () => bed.server.counters.accepted === 2);
      await bed.server.stop({ drainMs: 0 });
      const { how, frames } = await silent.closed();
      assertEquals([how, errorOf(frames[0]).code], ["fin", "too_many_connections"]);
    });
  });

  it("leaves descriptors to the process", () => {
    assertEquals(maxConnectionsFor(20_000), 20_000 - 64);
    assertEquals(maxConnectionsFor(65), 1);
    assertEquals(maxConnectionsFor(10), 1);
    assertEquals(maxConnectionsFor(undefined), 1024 - 64);
    // Two more for the links to each other process, and to one that takes another's place.
    assertEquals(maxConnectionsFor(20_000, 64), 20_000 - 64 - 128);
  });

  it("holds for all workers together, as far as one's descriptors go; memory is divided", () => {
    const whole = completeLimits({ maxConnections: 1_000 });
    const limits = workerLimits(whole, 4);
    assertEquals(limits.maxTotalPendingBytes, DEFAULT_LIMITS.maxTotalPendingBytes / 4);
    assertEquals(limits.maxMemoryBytes, Math.floor((whole.maxMemoryBytes - SUPERVISOR_BYTES) / 4));
    assertEquals(limits.historyTotalBytes, DEFAULT_LIMITS.historyTotalBytes / 4);
    const { maxTotalPendingBytes, maxMemoryBytes, historyTotalBytes } = limits;
    assertEquals(limits, { ...whole, maxTotalPendingBytes, maxMemoryBytes, historyTotalBytes });
    assertEquals(ownConnectionsFor(limits, 364, 2), 296);
    // Those that wait to be admitted have descriptors too.
    assertEquals(ownConnectionsFor(limits, 20_000, 2), 19_932);
    assert(ownConnectionsFor(limits, undefined, 2) > 1_000);
  });
});

describe("the limits of an embedded server", () => {
  it("are those of the command unless given", async () => {
    const server = await serve({
      hostname: "127.0.0.1",
      port: 0,
      limits: { maxConnections: 5, maxTopics: 7 },
    });
    assertEquals(server.limits, completeLimits({ maxConnections: 5, maxTopics: 7 }));
    await server.close();
    const plain = await serve({ hostname: "127.0.0.1", port: 0 });
    assert(plain.limits.maxConnections > 0);
    await plain.close();
  });

  for (const value of [0, -1, 1.5, NaN, Infinity, "8" as unknown as number]) {
    it(`can't be ${value}`, async () => {
      for (const name of Object.keys(DEFAULT_LIMITS)) {
        // No time at all turns the history off.
        if (name === "historyMs" && value === 0) continue;
        const limits = { [name]: value };
        const error = await assertRejects(
          () => serve({ hostname: "127.0.0.1", port: 0, limits }),
          RangeError,
        );
        assertMatch(error.message, new RegExp(name));
        assertNotMatch(error.message, /\n/);
      }
    });
  }

  for (const limits of [{ maxFrameBytes: 63 }, { maxTopicBytes: 257 }]) {
    it(`can't be what the protocol can't live with: ${JSON.stringify(limits)}`, async () => {
      await assertRejects(() => serve({ hostname: "127.0.0.1", port: 0, limits }), RangeError);
    });
  }
});
