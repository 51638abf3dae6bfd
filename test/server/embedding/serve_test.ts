import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { DEFAULT_LIMITS, type EndReason, serve, TransportError } from "../../../mod.ts";
import { connectionsPerIpFor } from "../../../host/capacity.ts";
import { acceptRateFor, maxTotalPendingFor } from "../../../server/limits/derived.ts";
import { Fixture } from "../../support/processes/fixture.ts";
import { JanusClient, message, publish } from "../../support/clients/janus_client.ts";
import { until } from "../../support/until.ts";

describe("an embedded server", () => {
  it("tells where it listens, on what, with which limits", async () => {
    const server = await serve({ hostname: "127.0.0.1", port: 0, limits: { maxTopics: 3 } });
    const { address, runtime, limits } = server;
    assert(address.transport === "tcp");
    assertEquals(address.hostname, "127.0.0.1");
    assert(address.port > 0);
    assertEquals(runtime.name, "Bun" in globalThis ? "bun" : "deno");
    assertEquals(limits, {
      ...DEFAULT_LIMITS,
      maxConnections: limits.maxConnections,
      maxConnectionsPerIp: connectionsPerIpFor(limits.maxConnections),
      acceptRate: acceptRateFor(limits.maxConnections),
      maxMemoryBytes: limits.maxMemoryBytes,
      maxTotalPendingBytes: maxTotalPendingFor(limits.maxMemoryBytes),
      maxTopics: 3,
    });
    await server.close();
  });

  it("counts what it does while it does it, and tells who ended and why", async () => {
    const ended: [string, EndReason][] = [];
    const { address, counters, close } = await serve({
      hostname: "127.0.0.1",
      port: 0,
      limits: { maxConnections: 3 },
      events: {
        onSessionEnd: ({ remoteAddress, reason }) => void ended.push([remoteAddress, reason]),
        onAcceptError: (error) => console.error(error),
      },
    });
    assert(address.transport === "tcp");
    const [one, two] = [
      await JanusClient.subscribed(address, "t"),
      await JanusClient.greeted(address),
    ];
    const three = await JanusClient.subscribed(address, "t", "u");
    assertEquals([counters.connections, counters.accepted, counters.subscriptions], [3, 3, 3]);
    two.send(publish(message("t")) + publish(message("nobody's")));
    await Promise.all([one.frame(), three.frame()]);
    assertEquals([counters.messagesIn, counters.writes], [2, 2]);
    const four = await JanusClient.open(address);
    await four.closed();
    two.send("nonsense\0");
    await two.closed();
    one.end();
    await one.closed();
    await until("they have gone", () => counters.connections === 1);
    assertEquals(counters.subscriptions, 2);
    assertEquals(ended, [
      ["127.0.0.1", "too_many_connections"],
      ["127.0.0.1", "bad_frame"],
      ["127.0.0.1", "client_closed"],
    ]);
    assertEquals(counters.ended.bad_frame, 1);
    const closed = close();
    await three.closed();
    await closed;
    assertEquals([counters.connections, counters.subscriptions, counters.accepted], [0, 0, 4]);
    for (const client of [one, two, three, four]) await client.dispose();
  });

  it("rejects with the reason when the address can't be had", async () => {
    const server = await serve({ hostname: "127.0.0.1", port: 0 });
    assert(server.address.transport === "tcp");
    const { port } = server.address;
    const error = await assertRejects(() => serve({ hostname: "127.0.0.1", port }), TransportError);
    assertEquals(error.code, "address_in_use");
    await server.close();
  });

  it("closes as slowly as it's asked to, in a time that there is", async () => {
    const server = await serve({ hostname: "127.0.0.1", port: 0 });
    for (const drainMs of [-1, NaN, Infinity]) {
      await assertRejects(() => server.close({ drainMs }), RangeError, String(drainMs));
    }
    assert(server.address.transport === "tcp");
    const clients = [await JanusClient.greeted(server.address)];
    clients.push(await JanusClient.greeted(server.address));
    const closed = server.close({ drainMs: 30_000 });
    await until("one is told", () => clients.some(({ ended }) => ended !== null));
    const left = clients.find(({ ended }) => ended === null);
    assert(left !== undefined);
    // It is served as ever, and once it is gone the server waits for no client.
    await left.subscribe("t");
    left.close();
    await closed;
    for (const client of clients) await client.dispose();
  });

  it("leaves the program nothing to wait for once it's closed", { timeout: 20_000 }, async () => {
    const program = new Fixture(fileURLToPath(import.meta.resolve("../fixtures/embedded.ts")));
    try {
      assertEquals(await program.line(), "closed");
      await program.exited;
    } finally {
      await program.stop();
    }
  });
});
