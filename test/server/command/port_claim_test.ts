import { assertEquals, assertMatch } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import { RUNTIME_NAMES, type RuntimeName } from "../../../cli/program.ts";
import { JanusClient, message, publish } from "../../support/clients/janus_client.ts";
import { lastingPort } from "../../../tools/harness/lasting_port.ts";
import { directCommand, ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { until } from "../../support/until.ts";
import { skipWorkers, workersOf } from "../../support/processes/workers.ts";

const timeout = 60_000;

/** One of some servers that start at once. */
interface Start {
  readonly runtime: RuntimeName;
  readonly host: string;
  readonly workers: number;
}

/** Starts servers at once, on one port; tells who listens in the end, and what the others say. */
async function race(starts: readonly Start[]): Promise<[ServerCommand[], ServerCommand[]]> {
  const port = await lastingPort();
  const servers = starts.map(({ runtime, host, workers }) => {
    const flags = ["--host", host, "--port", String(port), "--workers", String(workers)];
    return new ServerCommand(directCommand(runtime), flags);
  });
  const listens = (server: ServerCommand) => server.stdout.includes(" listening on ");
  await until(
    "each listens or has ended",
    () => servers.every((server) => listens(server) || server.hasExited),
    30_000,
  );
  return [servers.filter(listens), servers.filter((server) => !listens(server))];
}

async function assertOneWins(starts: readonly Start[]): Promise<void> {
  const [winners, losers] = await race(starts);
  try {
    for (const loser of losers) {
      const { status, stderr } = await loser.exited();
      assertEquals(status, 1);
      assertMatch(stderr, /hotwheels: cannot listen on \S+: the address is in use\n$/);
    }
    assertEquals(winners.length, 1, `${winners.length} servers share a port`);
  } finally {
    for (const server of [...winners, ...losers]) await server.dispose();
  }
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`servers that start at once on ${runtime}`, { skip: skipWorkers }, () => {
    it("don't share a port, whatever address each has", { timeout }, async () => {
      for (const hosts of [["127.0.0.1", "0.0.0.0"], ["::", "127.0.0.1"]]) {
        await assertOneWins(hosts.map((host) => ({ runtime, host, workers: 2 })));
      }
    });

    it(
      "don't share it with one process, nor with one on another runtime",
      { timeout },
      async () => {
        const host = "127.0.0.1";
        const one = { runtime, host, workers: 1 };
        await assertOneWins([one, one]);
        await assertOneWins(RUNTIME_NAMES.map((runtime) => ({ runtime, host, workers: 2 })));
      },
    );
  });

  describe(`a server on ${runtime} whose processes are killed`, { skip: skipWorkers }, () => {
    it("leaves its port to the next one at once", { timeout }, async () => {
      const port = await lastingPort();
      const flags = ["--host", "127.0.0.1", "--port", String(port), "--workers", "2"];
      for (let round = 0; round < 2; round++) {
        const server = new ServerCommand(directCommand(runtime), flags);
        await until("it listens", () => server.stdout.includes("\n") || server.hasExited, 30_000);
        assertMatch(server.stdout, / listening on /);
        const client = await JanusClient.greeted(server);
        const workers = workersOf(server);
        assertEquals(workers.length, 2);
        await server.dispose();
        for (const worker of workers) {
          try {
            process.kill(worker, "SIGKILL");
          } catch {
            // It has noticed that its supervisor is gone.
          }
        }
        await client.dispose();
      }
    });
  });
}

describe("a server whose workers have all died", { skip: skipWorkers }, () => {
  for (const runtime of TESTED_RUNTIMES) {
    it(`takes its port back as one on ${runtime}`, { timeout }, async () => {
      const port = await lastingPort();
      const flags = ["--port", String(port), "--workers", "2"];
      const server = await ServerCommand.listening(runtime, flags);
      try {
        const dead = workersOf(server);
        for (const worker of dead) process.kill(worker, "SIGKILL");
        await until("others are there", () => {
          const workers = workersOf(server);
          return workers.length === 2 && workers.every((worker) => !dead.includes(worker));
        }, 30_000);
        await until(
          "both have joined",
          () => [...server.stderr.matchAll(/ has joined /g)].length === 2,
          30_000,
        );
        const readers = await Promise.all(
          Array.from({ length: 12 }, () => JanusClient.subscribed(server, "t")),
        );
        const publisher = await JanusClient.greeted(server);
        publisher.send(publish(message("t")));
        for (const reader of readers) await reader.frame();
        for (const client of [...readers, publisher]) await client.dispose();
      } finally {
        await server.dispose();
      }
    });
  }
});
