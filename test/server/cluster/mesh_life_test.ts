import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import type { RuntimeName } from "../../../cli/program.ts";
import { limitDescriptors } from "../../../tools/soak/strikes/descriptor_limit.ts";
import { cutLink, linksTo } from "../../../tools/soak/strikes/mesh_links.ts";
import { JanusClient, message, publish } from "../../support/clients/janus_client.ts";
import { directCommand, ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { until } from "../../support/until.ts";
import { skipWorkers, workersOf } from "../../support/processes/workers.ts";

const timeout = 60_000;

/** A server that may have so many descriptors in each process. */
function limited(runtime: RuntimeName, descriptors: number, flags: string[]) {
  const limit = `ulimit -n ${descriptors}; exec "$@"`;
  return ServerCommand.listening(runtime, flags, [
    "sh",
    "-c",
    limit,
    "sh",
    ...directCommand(runtime),
  ]);
}

/** The numbers of the messages that a client has received from one publisher, in order. */
function numbersOf(client: JanusClient, publisher: number): number[] {
  return client.frames.map((frame) => (JSON.parse(frame) as { data: [number, number] }).data)
    .filter(([from]) => from === publisher).map(([, number]) => number);
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`links between workers on ${runtime}`, { skip: skipWorkers }, () => {
    it("stand again where they are cut, with nothing lost or twice", { timeout }, async (t) => {
      const server = await ServerCommand.listening(runtime, ["--workers", "3"]);
      try {
        const workers = workersOf(server);
        const readers = await Promise.all(
          Array.from({ length: 12 }, () => JanusClient.subscribed(server, "t")),
        );
        const publishers = await Promise.all(
          Array.from({ length: 6 }, () => JanusClient.greeted(server)),
        );
        for (const worker of workers) assertEquals((await linksTo(worker)).length, 2);
        let sent = 0;
        const send = () => {
          for (const [p, publisher] of publishers.entries()) {
            publisher.send(publish(message("t", [p, sent])));
          }
          sent++;
        };
        const timer = setInterval(send, 1);
        try {
          for (let round = 0; round < 4; round++) {
            for (const worker of workers) {
              for (const link of await linksTo(worker)) {
                const refusal = await cutLink(worker, link);
                if (refusal !== undefined) return t.skip(`no link can be cut here: ${refusal}`);
              }
            }
            const endMs = performance.now() + 15_000;
            for (const worker of workers) {
              while ((await linksTo(worker)).length !== 2) {
                assertGreater(endMs, performance.now(), "the links don't stand again");
              }
            }
          }
        } finally {
          clearInterval(timer);
        }
        const expected = Array.from({ length: sent }, (_, i) => i);
        for (const reader of readers) {
          await until("all messages come", () => reader.frames.length >= sent * publishers.length);
          for (const p of publishers.keys()) assertEquals(numbersOf(reader, p), expected);
        }
        assertEquals(workersOf(server), workers);
        await until(
          "it's said",
          () => /linked with worker-\d-\d+ again after /.test(server.stderr),
        );
        for (const client of [...readers, ...publishers]) await client.dispose();
      } finally {
        await server.dispose();
      }
    });

    it("are made with a new worker once there are descriptors for them", { timeout }, async () => {
      const server = await ServerCommand.listening(runtime, ["--workers", "2"]);
      try {
        const [victim, survivor] = workersOf(server) as [number, number];
        await limitDescriptors(survivor, 3);
        process.kill(victim, "SIGKILL");
        await until("it's said that there's no link", () => {
          return /hotwheels\.worker-2: no link to worker-1-\d+ for .*: too many/.test(
            server.stderr,
          );
        });
        assertEquals(server.stderr.includes("has joined"), false);
        await limitDescriptors(survivor, 1_000);
        await until("another one has joined", () => server.stderr.includes("has joined"));
        const readers = await Promise.all(
          Array.from({ length: 16 }, () => JanusClient.subscribed(server, "t")),
        );
        const publishers = await Promise.all(
          Array.from({ length: 8 }, () => JanusClient.greeted(server)),
        );
        for (const [p, publisher] of publishers.entries()) {
          for (let i = 0; i < 20; i++) publisher.send(publish(message("t", [p, i])));
        }
        for (const reader of readers) await reader.next(20 * publishers.length);
        for (const client of [...readers, ...publishers]) await client.dispose();
      } finally {
        await server.dispose();
      }
    });

    it("cost the worker that can't make them again its life, and no message", {
      timeout,
    }, async (t) => {
      const server = await ServerCommand.listening(runtime, ["--workers", "2"]);
      try {
        const [healthy, poor] = workersOf(server) as [number, number];
        const readers = await Promise.all(
          Array.from({ length: 16 }, () => JanusClient.subscribed(server, "t")),
        );
        await limitDescriptors(poor, 3);
        const [link] = await linksTo(healthy);
        const refusal = await cutLink(healthy, link!);
        if (refusal !== undefined) return t.skip(`no link can be cut here: ${refusal}`);
        await until("one of them is ended", () => {
          return / no link to worker-1 for .* s \(.*too many.*\); worker-2 is ended/
            .test(server.stderr);
        }, 30_000);
        await until("another one has joined", () => server.stderr.includes("worker-2 has joined"));
        assert(workersOf(server).includes(healthy));
        const kept = readers.filter((reader) => reader.ended === null);
        assertGreater(kept.length, 0);
        assertGreater(readers.length, kept.length);
        const publishers = await Promise.all(
          Array.from({ length: 8 }, () => JanusClient.greeted(server)),
        );
        for (const [p, publisher] of publishers.entries()) {
          publisher.send(publish(message("t", [p, 0])));
        }
        for (const reader of kept) await reader.next(publishers.length);
        for (const client of [...readers, ...publishers]) await client.dispose();
      } finally {
        await server.dispose();
      }
    });

    it(
      "leave descriptors enough for telling clients that there's no room",
      { timeout },
      async () => {
        const server = await limited(runtime, 160, ["--workers", "4"]);
        const clients: JanusClient[] = [];
        try {
          const most = Number(/at most (\d+) connections/.exec(server.stdout)?.[1]);
          assertGreater(most, 4 * 50);
          for (let i = 0; i < most + 150; i++) clients.push(new JanusClient(server));
          await until(
            "each is told something",
            () => clients.every((client) => client.frames.length > 0 || client.ended !== null),
            20_000,
          );
          const served = clients.filter((client) => client.frames[0]?.includes('"token"'));
          assertGreater(served.length, most / 2);
          for (const client of clients) {
            assert(client.frames.length > 0, `told nothing, and closed (${client.ended})`);
          }
        } finally {
          for (const client of clients) await client.dispose();
          await server.dispose();
        }
      },
    );

    it("aren't tried with too few descriptors: one line says so", { timeout }, async () => {
      for (const workers of [1, 4]) {
        const least = 64 + (workers === 1 ? 0 : 2 * workers) + 1;
        const limit = `ulimit -n ${least - 1}; exec "$@"`;
        const command = ["sh", "-c", limit, "sh", ...directCommand(runtime)];
        const server = new ServerCommand(command, ["--port", "0", "--workers", String(workers)]);
        const { status, stderr } = await server.exited();
        assertEquals(status, 1);
        assertMatch(stderr, new RegExp(`^hotwheels: .* ${least} descriptors at least, .*\\n$`));
      }
    });
  });
}
