import { assert, assertEquals } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Fixture } from "../support/fixture.ts";
import { JanusClient, message, publish } from "../support/janus_client.ts";

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
    await new Promise((resolve) => setTimeout(resolve, 50));
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

describe("connections that come and go", () => {
  it("leave nothing behind on the server's heap", { timeout: 120_000 }, async () => {
    const flag = "deno" in process.versions ? "--v8-flags=--expose-gc" : "--expose-gc";
    const script = fileURLToPath(import.meta.resolve("./fixtures/heap.ts"));
    // The runtime's own flags stand where a script usually does.
    const server = new Fixture(flag, [script]);
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
});
