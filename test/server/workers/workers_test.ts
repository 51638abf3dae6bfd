import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { PROJECT_ROOT } from "../../../cli/program.ts";
import { JanusClient, message, publish } from "../../support/clients/janus_client.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { quiet, until } from "../../support/until.ts";
import { skipWorkers, withWorkers, workersOf } from "../../support/processes/workers.ts";

/** The numbers of the messages that a client has received, in order. */
function numbersOf(client: JanusClient): number[] {
  return client.frames.map((frame) => (JSON.parse(frame) as { data: number }).data);
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`${runtime} with workers`, { skip: skipWorkers }, () => {
    it("delivers what any worker accepts on all of them, in each publisher's order", {
      timeout: 60_000,
    }, async () => {
      await withWorkers(runtime, 3, async (server, target) => {
        assertEquals(workersOf(server).length, 3);
        const clients = await Promise.all(
          Array.from({ length: 30 }, () => JanusClient.subscribed(target, "all")),
        );
        const publishers = await Promise.all(
          Array.from({ length: 6 }, () => JanusClient.greeted(target)),
        );
        for (let i = 0; i < 200; i++) {
          for (const [p, publisher] of publishers.entries()) {
            publisher.send(publish(message("all", p * 1000 + i)));
          }
        }
        for (const client of clients) {
          await until("all messages come", () => client.frames.length === 1200);
          const numbers = numbersOf(client);
          for (let p = 0; p < 6; p++) {
            const own = numbers.filter((number) => Math.floor(number / 1000) === p);
            assertEquals(own, Array.from({ length: 200 }, (_, i) => p * 1000 + i));
          }
        }
        for (const client of [...clients, ...publishers]) await client.dispose();
      });
    });

    it("gives a message the same timestamp on every worker", { timeout: 60_000 }, async () => {
      await withWorkers(runtime, 3, async (_, target) => {
        const clients = await Promise.all(
          Array.from({ length: 30 }, () => JanusClient.subscribed(target, "same")),
        );
        const publisher = await JanusClient.greeted(target);
        publisher.send(publish(message("same")));
        const frames = await Promise.all(clients.map((client) => client.frame()));
        assertEquals(new Set(frames).size, 1);
        for (const client of [...clients, publisher]) await client.dispose();
      });
    });

    it("keeps topics apart whose names decoders like to take for the same", {
      timeout: 60_000,
    }, async () => {
      const names = ["news", "\ufeffnews", "\ufeff\ufeffnews", "ne\ufeffws", "\u00e9", "e\u0301"];
      await withWorkers(runtime, 2, async (_, target) => {
        const clients = await Promise.all(
          names.flatMap((name) =>
            Array.from({ length: 6 }, async () => {
              return { name, client: await JanusClient.subscribed(target, name) };
            })
          ),
        );
        const publishers = await Promise.all(
          Array.from({ length: 6 }, () => JanusClient.greeted(target)),
        );
        for (const name of names) {
          for (const publisher of publishers) publisher.send(publish(message(name, name)));
        }
        for (const { name, client } of clients) {
          const frames = await client.next(publishers.length);
          const received = frames.map((frame) => JSON.parse(frame) as { topic: string });
          assertEquals(received.map(({ topic }) => topic), publishers.map(() => name));
        }
        await quiet(200);
        for (const { client } of clients) {
          assertEquals(client.frames, []);
          await client.dispose();
        }
        for (const publisher of publishers) await publisher.dispose();
      });
    });

    it("ends a worker that gives no sign of life, and replaces it", {
      timeout: 120_000,
    }, async () => {
      await withWorkers(runtime, 2, async (server, target) => {
        const [mute] = workersOf(server);
        process.kill(mute as number, "SIGSTOP");
        // It's asked every other second, and has ten to answer.
        await sleep(10_000);
        await until("another worker has joined", () => {
          const workers = workersOf(server);
          return workers.length === 2 && !workers.includes(mute as number);
        }, 60_000);
        const client = await JanusClient.subscribed(target, "on");
        client.send(publish(message("on")));
        await client.frame();
        await client.dispose();
      });
    });

    it("loses nothing of the other workers' when one is killed, and replaces it", {
      timeout: 120_000,
    }, async () => {
      await withWorkers(runtime, 2, async (server, target) => {
        const clients = await Promise.all(
          Array.from({ length: 40 }, () => JanusClient.subscribed(target, "kept")),
        );
        // Whichever worker dies, some of these live on another.
        const publishers = await Promise.all(
          Array.from({ length: 12 }, () => JanusClient.greeted(target)),
        );
        let sent = 0;
        const timer = setInterval(() => {
          for (const [p, publisher] of publishers.entries()) {
            if (publisher.ended === null) publisher.send(publish(message("kept", p * 1e6 + sent)));
          }
          sent++;
        }, 1);
        const [victim] = workersOf(server);
        await until("messages flow", () => clients.every((client) => client.frames.length > 500));
        process.kill(victim as number, "SIGKILL");
        await until("the victim's clients lose their connections", () => {
          return clients.some((client) => client.ended !== null);
        });
        await until("another worker has joined", () => {
          const workers = workersOf(server);
          return workers.length === 2 && !workers.includes(victim as number);
        });
        const before = sent;
        await until("messages go on", () => sent > before + 200);
        clearInterval(timer);
        const survivors = publishers.flatMap((publisher, p) => publisher.ended === null ? [p] : []);
        const kept = clients.filter((client) => client.ended === null);
        assertNotEquals(survivors.length, 0);
        assertNotEquals(kept.length, 0);
        assert(kept.length < clients.length, "no client was on the worker that was killed");
        for (const client of kept) {
          const last = () => new Set(numbersOf(client).slice(-5_000));
          await until("the last message comes", () => {
            const numbers = last();
            return survivors.every((p) => numbers.has(p * 1e6 + sent - 1));
          });
          const numbers = numbersOf(client);
          for (const p of survivors) {
            const own = numbers.filter((number) => Math.floor(number / 1e6) === p);
            assertEquals(own, Array.from({ length: sent }, (_, i) => p * 1e6 + i));
          }
        }
        const newcomer = await JanusClient.subscribed(target, "kept");
        for (const client of [newcomer, ...clients, ...publishers]) await client.dispose();
      });
    });

    it("delivers on every worker what had arrived when the stop began, then says so", {
      timeout: 60_000,
    }, async () => {
      await withWorkers(runtime, 2, async (server, target) => {
        const clients = await Promise.all(
          Array.from({ length: 20 }, () => JanusClient.subscribed(target, "last")),
        );
        const publisher = await JanusClient.greeted(target);
        await publisher.sent(
          Array.from({ length: 1000 }, (_, i) => publish(message("last", i))).join(""),
        );
        server.stop();
        for (const client of clients) {
          const { frames } = await client.closed();
          assertEquals(frames.length, 1001);
          assert(frames.pop()?.includes('"code":"server_shutdown"'));
        }
        await publisher.dispose();
        for (const client of clients) await client.dispose();
      });
    });

    it("keeps memory in each worker as the task does", {
      timeout: 60_000,
      skip: runtime === "deno" ? skipWorkers : "Bun has no such flags",
    }, async () => {
      const task = readFileSync(`${PROJECT_ROOT}deno.json`, "utf8").match(/"serve": .*/)?.[0] ?? "";
      const flags = task.match(/--v8-flags=\S+/)?.[0] ?? "";
      assertStringIncludes(flags, "--max-semi-space-size=");
      await withWorkers(runtime, 2, (server) => {
        for (const worker of workersOf(server)) {
          const { stdout } = spawnSync("ps", ["-ww", "-o", "args=", "-p", String(worker)]);
          assertStringIncludes(stdout.toString(), ` ${flags} `);
        }
        for (const pid of [server.pid, ...workersOf(server)]) {
          // Deno lets only programs that may do anything read this themselves.
          const { stdout } = spawnSync("cat", [`/proc/${pid}/environ`], { encoding: "utf8" });
          assertStringIncludes(`\0${stdout}`, "\0MALLOC_ARENA_MAX=1\0");
        }
        return Promise.resolve();
      });
    });

    it("holds the connection maximum for all workers together", { timeout: 60_000 }, async () => {
      await withWorkers(runtime, 2, async (_, target) => {
        const clients = await Promise.all(
          Array.from({ length: 40 }, () => JanusClient.open(target)),
        );
        const first = await Promise.all(clients.map((client) => client.frame()));
        assertEquals(first.filter((frame) => frame.includes('"token"')).length, 4);
        assertEquals(first.filter((frame) => frame.includes("too_many_connections")).length, 36);
        for (const client of clients) await client.dispose();
      }, ["--max-connections", "4"]);
    });
  });
}
