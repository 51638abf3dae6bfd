import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import { findProgram } from "../../../cli/program.ts";
import { errorOf, JanusClient, message, publish } from "../../support/clients/janus_client.ts";
import { ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { quiet } from "../../support/until.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Flags that let a client which never reads hold a stop up. */
const PATIENT = [
  `--max-pending-bytes=${64 * MIB}`,
  `--soft-pending-bytes=${64 * MIB}`,
  "--write-deadline=60s",
  "--log-level=error",
];

/** Connects a client that reads nothing although much is queued for it. */
async function holdUp(server: ServerCommand): Promise<JanusClient> {
  const deaf = await JanusClient.subscribed(server, "t");
  deaf.pause();
  const publisher = await JanusClient.greeted(server);
  const padding = "p".repeat(32 * KIB);
  for (let i = 0; i < 600; i++) await publisher.sent(publish(message("t", `${i} ${padding}`)));
  await publisher.synced();
  await publisher.dispose();
  return deaf;
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`a signal to the server on ${runtime}`, () => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      it(`${signal} delivers what was accepted, tells the clients, and ends with status 0`, async () => {
        const server = await ServerCommand.listening(runtime, ["--log-level=error"]);
        const clients: JanusClient[] = [];
        try {
          for (let i = 0; i < 20; i++) clients.push(await JanusClient.subscribed(server, "t"));
          const burst = Array.from({ length: 200 }, (_, i) => publish(message("t", i))).join("");
          await clients[0]!.sent(burst);
          server.signal(signal);
          for (const client of clients) {
            const { how, frames } = await client.closed();
            assertEquals(how, "fin");
            assertEquals(errorOf(frames.pop()).code, "server_shutdown");
            assertEquals(
              frames.map((frame) => (JSON.parse(frame) as { data: number }).data),
              Array.from({ length: 200 }, (_, i) => i),
            );
          }
          const exit = await server.exited();
          assertEquals([exit.status, exit.signal, exit.stderr], [0, null, ""]);
        } finally {
          await Promise.all(clients.map((client) => client.dispose()));
          await server.dispose();
        }
      });
    }

    for (const [signal, workers] of [["SIGTERM", 1], ["SIGINT", 2]] as const) {
      it(`${signal} and what comes of it stand in the log, workers: ${workers}`, async () => {
        const flags = ["--workers", `${workers}`, "--drain-seconds", "1"];
        const server = await ServerCommand.listening(runtime, flags);
        try {
          const clients: JanusClient[] = [];
          for (let i = 0; i < 3; i++) clients.push(await JanusClient.greeted(server));
          server.signal(signal);
          for (const client of clients) await client.closed();
          const { status, stderr } = await server.exited();
          assertEquals(status, 0);
          const log = stderr.replaceAll(/^\S+ /gm, "");
          const line = workers === 1
            ? "[info] hotwheels: got SIGTERM: draining 3 connections, within 11 s"
            : "[info] hotwheels: got SIGINT: draining 2 workers, within 11 s";
          // A worker may have written before its supervisor does.
          assertStringIncludes(`\n${log}`, `\n${line}\n`);
          assertMatch(log, /\n\[info\] hotwheels: stopped after \d\.\d s\n$/);
          const drained = [...log.matchAll(/worker-\d: draining (\d+) connections?\n/g)];
          const total = drained.reduce((sum, [, count]) => sum + Number(count), 0);
          assertEquals([drained.length, total], workers === 1 ? [0, 0] : [2, 3]);
        } finally {
          await server.dispose();
        }
      });
    }

    it("ends it also before any client has come", async () => {
      const server = await ServerCommand.listening(runtime);
      server.signal("SIGTERM");
      assertEquals((await server.exited()).status, 0);
    });

    it("ends it at once when it's the second, half a second after the first", async () => {
      const server = await ServerCommand.listening(runtime, PATIENT);
      try {
        const deaf = await holdUp(server);
        server.signal("SIGTERM");
        // The same keystroke may arrive more than once.
        server.signal("SIGINT");
        await quiet(800);
        assertEquals(server.hasExited, false);
        server.signal("SIGINT");
        assertEquals((await server.exited()).status, 1);
        await deaf.dispose();
      } finally {
        await server.dispose();
      }
    });
  });
}

describe("a signal to the task runner", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it(`${signal} stops the server gracefully, and the runner ends with its status`, async () => {
      const command = [findProgram("deno").path, "task", "-q", "serve"];
      const server = await ServerCommand.listening("deno", ["--log-level=error"], command);
      try {
        const client = await JanusClient.subscribed(server, "t");
        server.signal(signal);
        const { frames } = await client.closed();
        assertEquals(errorOf(frames[0]).code, "server_shutdown");
        const exit = await server.exited();
        assertEquals([exit.status, exit.signal, exit.stderr], [0, null, ""]);
        await client.dispose();
      } finally {
        await server.dispose();
      }
    });
  }
});

describe("a stop that a client holds up", () => {
  it("ends with status 0 all the same", { timeout: 60_000 }, async () => {
    await Promise.all(TESTED_RUNTIMES.map(async (runtime) => {
      const server = await ServerCommand.listening(runtime, PATIENT);
      try {
        const deaf = await holdUp(server);
        const other = await JanusClient.greeted(server);
        server.signal("SIGTERM");
        assertEquals(errorOf((await other.closed()).frames[0]).code, "server_shutdown");
        const exit = await server.exited();
        assertEquals([exit.status, exit.signal, exit.stderr], [0, null, ""]);
        await deaf.dispose();
        await other.dispose();
      } finally {
        await server.dispose();
      }
    }));
  });
});
