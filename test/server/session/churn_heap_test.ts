import { assert, assertEquals } from "@std/assert";
import { connect } from "node:net";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Fixture } from "../../support/processes/fixture.ts";
import { JanusClient, message, publish } from "../../support/clients/janus_client.ts";

const CONNECTIONS = 4_000;
const AT_ONCE = 50;

/**
 * Far below what one session takes, let alone a connection, and above what a runtime's own caches grow by
 * in so short a time.
 */
const MAX_BYTES_EACH = 200;

/** The server's live heap, once everyone has gone. */
async function liveBytes(server: Fixture): Promise<number> {
  for (;;) {
    server.send("");
    const [connections, bytes] = (await server.line()).split(" ").map(Number);
    if (connections === 0) return bytes!;
    await sleep(50);
  }
}

async function comeAndGo(port: number, index: number): Promise<void> {
  const target = { hostname: "127.0.0.1", port };
  const client = await JanusClient.open(target);
  if (index % 4 !== 0) {
    await client.greeting();
    await client.subscribe(`topic ${index}`);
  }
  if (index % 4 === 1) {
    client.send(publish(message(`topic ${index}`)));
    await client.frame();
  }
  if (index % 2 === 0) client.reset();
  await client.dispose();
}

/** Connects without a word, so many times at once, and leaves where the server doesn't close. */
async function knock(port: number, times: number): Promise<void> {
  await Promise.all(Array.from({ length: times }, async () => {
    const socket = connect({ host: "127.0.0.1", port });
    const patience = setTimeout(() => socket.destroy(), 500);
    socket.on("error", () => {}).resume();
    await new Promise((resolve) => socket.on("close", resolve));
    clearTimeout(patience);
  }));
}

function start(...args: string[]): Fixture {
  const flag = "deno" in process.versions ? "--v8-flags=--expose-gc" : "--expose-gc";
  const script = fileURLToPath(import.meta.resolve("../fixtures/heap.ts"));
  // The runtime's own flags stand where a script usually does.
  return new Fixture(flag, [script, ...args]);
}

describe("connections that come and go", () => {
  it("leave nothing behind on the server's heap", { timeout: 120_000 }, async () => {
    const server = start();
    try {
      const port = Number(await server.line());
      let next = 0;
      const goOnTo = (end: number) =>
        Promise.all(Array.from({ length: AT_ONCE }, async () => {
          while (next < end) await comeAndGo(port, next++);
        }));
      // Code that is compiled and tables that are filled once come first.
      await goOnTo(CONNECTIONS / 2);
      const before = await liveBytes(server);
      await goOnTo(CONNECTIONS * 3 / 2);
      const grownBytes = await liveBytes(server) - before;
      assertEquals(next, CONNECTIONS * 3 / 2);
      assert(grownBytes < CONNECTIONS * MAX_BYTES_EACH, `${grownBytes} bytes more`);
    } finally {
      await server.stop();
    }
  });

  it("leave nothing behind where TLS has hardly begun", { timeout: 120_000 }, async () => {
    const server = start("refusing");
    try {
      const port = Number(await server.line());
      const knocks = async (times: number) => {
        for (let i = 0; i < times; i += 200) await knock(port, 200);
      };
      await knocks(CONNECTIONS / 4);
      const before = await liveBytes(server);
      await knocks(CONNECTIONS / 2);
      const grownBytes = await liveBytes(server) - before;
      assert(grownBytes < CONNECTIONS / 2 * MAX_BYTES_EACH, `${grownBytes} bytes more`);
    } finally {
      await server.stop();
    }
  });
});
