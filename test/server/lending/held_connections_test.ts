import { assert, assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { detectRuntime } from "../../../runtime/detect.ts";
import type { Address, TlsIdentity } from "../../../runtime/types.ts";
import type { Claim, Notice } from "../../../server/lending/terms.ts";
import type { Limits } from "../../../server/limits.ts";
import { completeLimits } from "../../../server/serve.ts";
import { Server } from "../../../server/server.ts";
import { FIRST } from "../../support/identities.ts";
import {
  authenticate,
  delivered,
  errorOf,
  JanusClient,
  message,
  publish,
  subscribe,
  type Target,
  unstamp,
} from "../../support/clients/janus_client.ts";
import { TlsClient } from "../../support/clients/tls_client.ts";
import { quiet, until } from "../../support/until.ts";

/** One process of a server of two, and the test in its supervisor's place. */
class Bed implements Target {
  readonly hostname = "127.0.0.1";
  readonly server: Server;
  readonly claims: Claim[] = [];
  port = 0;

  constructor(server: (send: (claims: readonly Claim[]) => void) => Server) {
    this.server = server((claims) => void this.claims.push(...claims));
  }

  /** Waits until it claims something. */
  async claimed(): Promise<Claim> {
    await until("it claims something", () => this.claims.length > 0);
    return this.claims.shift()!;
  }

  say(...notices: Notice[]): void {
    this.server.borrower!.hear(notices, true);
  }

  /** Gives what is wanted. */
  async grant(): Promise<void> {
    const { key, wants } = await this.claimed();
    this.say({ key, says: "granted", count: wants, keep: 0 });
  }
}

/** Nothing is the process's own where there is one of everything. */
const ONE = { maxConnections: 1, maxConnectionsPerIp: 100 };

async function withBed(
  limits: Partial<Limits>,
  test: (bed: Bed) => Promise<void>,
  tls?: TlsIdentity,
): Promise<void> {
  const runtime = await detectRuntime();
  const events = { onSessionEnd: () => {}, onAcceptError: () => {} };
  const bed = new Bed((send) =>
    new Server(runtime, completeLimits(limits), events, {
      access: { publishKeys: ["right"] },
      lending: { workers: 2, maxOwnConnections: 50, send, sendCensus: () => {} },
    })
  );
  const where = { transport: "tcp", hostname: "127.0.0.1", port: 0 } as const;
  const address: Address = await bed.server.listen(tls === undefined ? where : { ...where, tls });
  bed.port = address.transport === "tcp" ? address.port : 0;
  try {
    await test(bed);
  } finally {
    await bed.server.stop();
  }
}

describe("a connection that may or may not have a place", () => {
  it("is held unread until that is settled, then served in order", async () => {
    await withBed(ONE, async (bed) => {
      const client = await JanusClient.open(bed);
      client.send(subscribe("t") + authenticate("right") + publish(message("t")));
      assertEquals(await bed.claimed(), {
        key: "connections",
        wants: 1,
        returns: 0,
        spent: 0,
        answersRecall: false,
      });
      await quiet();
      assertEquals(client.frames, []);
      assertEquals(bed.server.counters.connections, 1);
      bed.say({ key: "connections", says: "granted", count: 1, keep: 0 });
      await client.greeting();
      assertEquals(await client.next(2), ["ACK", "ACK"]);
      assertEquals(unstamp(await client.frame()).rest, delivered(message("t")));
      await client.dispose();
      assertEquals((await bed.claimed()).returns, 1);
    });
  });

  it("is refused when there is none, as the next one is, without a question", async () => {
    await withBed(ONE, async (bed) => {
      const client = await JanusClient.open(bed);
      await bed.claimed();
      bed.say({ key: "connections", says: "none" });
      const { how, frames } = await client.closed();
      assertEquals(how, "fin");
      assertEquals(errorOf(frames[0]).message, "All 1 connections are taken");
      const next = await JanusClient.open(bed);
      assertEquals(errorOf((await next.closed()).frames[0]).code, "too_many_connections");
      assertEquals(bed.claims, []);
      bed.say({ key: "connections", says: "room" });
      const third = await JanusClient.open(bed);
      await bed.grant();
      await third.greeting();
      for (const each of [client, next, third]) await each.dispose();
    });
  });

  it("takes no place when it goes before that", async () => {
    await withBed(ONE, async (bed) => {
      const client = await JanusClient.open(bed);
      await bed.claimed();
      client.reset();
      await until("it has gone", () => bed.server.counters.connections === 0);
      bed.say({ key: "connections", says: "granted", count: 1, keep: 0 });
      const { returns } = await bed.claimed();
      assertEquals(returns, 1);
      await client.dispose();
    });
  });

  it("is refused in about a second without an answer, and the next at once", async () => {
    await withBed(ONE, async (bed) => {
      const client = await JanusClient.open(bed);
      await bed.claimed();
      const { frames } = await client.closed(10_000);
      assertEquals(errorOf(frames[0]).code, "too_many_connections");
      const next = await JanusClient.open(bed);
      await next.closed();
      assertEquals(bed.claims, []);
      // What comes too late is known to be unused.
      bed.say({ key: "connections", says: "granted", count: 1, keep: 0 });
      assertEquals((await bed.claimed()).returns, 1);
      bed.say();
      const third = await JanusClient.open(bed);
      await bed.grant();
      await third.greeting();
      for (const each of [client, next, third]) await each.dispose();
    });
  });

  it("doesn't keep the server from stopping", async () => {
    await withBed(ONE, async (bed) => {
      const client = await JanusClient.open(bed);
      await bed.claimed();
      await bed.server.stop({ drainMs: 0 });
      await client.closed();
      await client.dispose();
    });
  });

  it("shakes hands meanwhile, where there is TLS", async () => {
    await withBed(ONE, async (bed) => {
      const dialing = TlsClient.dial(bed.port, FIRST);
      await bed.claimed();
      await quiet(200);
      bed.say({ key: "connections", says: "granted", count: 1, keep: 0 });
      const client = await dialing;
      assert(client.frames[0]?.includes('"token"'), client.failure);
      client.send(subscribe("t"));
      await until("it is subscribed", () => client.frames.includes("ACK"));
      client.dispose();
    }, FIRST);
  });
});

describe("what a client asks for that others may have taken", () => {
  it("holds up what is behind it, and nothing before", async () => {
    await withBed({ maxTopicsTotal: 1 }, async (bed) => {
      const client = await JanusClient.greeted(bed);
      client.send(authenticate("right") + subscribe("t") + publish(message("t")));
      client.send(subscribe("t"));
      const { key, wants } = await bed.claimed();
      assertEquals([key, wants], ["topics", 1]);
      await quiet();
      assertEquals(client.frames.splice(0), ["ACK"]);
      bed.say({ key, says: "granted", count: 1, keep: 0 });
      assertEquals(await client.frame(), "ACK");
      const rest = await client.next(2);
      assertEquals(rest.includes("ACK"), true);
      await client.dispose();
    });
  });

  it("is refused when there is none", async () => {
    await withBed({ maxTopicsTotal: 1 }, async (bed) => {
      const client = await JanusClient.greeted(bed);
      client.send(subscribe("t") + subscribe("u"));
      const { key } = await bed.claimed();
      bed.say({ key, says: "none" });
      const { frames } = await client.closed();
      assertEquals(frames.length, 1);
      assertEquals(errorOf(frames[0]).message, "All 1 topics of the server are taken");
      await client.dispose();
    });
  });

  it("goes with the client", async () => {
    await withBed({ maxTopicsTotal: 1 }, async (bed) => {
      const client = await JanusClient.greeted(bed);
      client.send(authenticate("right") + subscribe("t") + publish(message("t")));
      const { key } = await bed.claimed();
      client.reset();
      // Not every runtime notices before it reads on.
      await quiet(200);
      bed.say({ key, says: "granted", count: 1, keep: 0 });
      // It was sent before: it counts, though its publisher has gone.
      await until("its message is read", () => bed.server.counters.messagesIn === 1);
      await until("it has gone", () => bed.server.counters.connections === 0);
      assertEquals((await bed.claimed()).returns, 1);
      assertEquals(bed.server.topicCount, 0);
      await client.dispose();
    });
  });

  it("is a key too, which isn't looked at until then", async () => {
    await withBed({ maxWrongKeys: 1 }, async (bed) => {
      const right = await JanusClient.greeted(bed);
      right.send(authenticate("right") + publish(message("t")));
      const { key } = await bed.claimed();
      assertEquals(key, "wrongKeys 127.0.0.1");
      await quiet();
      assertEquals(right.frames, []);
      assertEquals(bed.server.counters.messagesIn, 0);
      bed.say({ key, says: "granted", count: 1, keep: 0 });
      assertEquals(await right.frame(), "ACK");
      await until("its message is read", () => bed.server.counters.messagesIn === 1);
      // It has spent nothing.
      assertEquals((await bed.claimed()).returns, 1);
      bed.say();
      const wrong = await JanusClient.greeted(bed);
      wrong.send(authenticate("wrong"));
      await bed.grant();
      assertEquals(errorOf((await wrong.closed()).frames[0]).message, "The key is wrong");
      assertEquals((await bed.claimed()).spent, 1);
      for (const client of [right, wrong]) await client.dispose();
    });
  });
});
