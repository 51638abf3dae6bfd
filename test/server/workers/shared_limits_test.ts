import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { RuntimeName } from "../../../cli/program.ts";
import type { ServerProcess } from "../../../tools/harness/server_process.ts";
import {
  authenticate,
  type ClientOptions,
  errorOf,
  JanusClient,
  subscribe,
  type Target,
} from "../../support/clients/janus_client.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { until } from "../../support/until.ts";
import { skipWorkers, withWorkers, workersOf } from "../../support/processes/workers.ts";

const PATIENCE = { timeout: 120_000 };

/** Clients that have been told whether there is room for them. */
class Crowd {
  readonly greeted: JanusClient[] = [];
  readonly refused: JanusClient[] = [];
  /** The texts with which they were refused. */
  readonly reasons = new Set<string>();
  readonly #target: Target;

  constructor(target: Target) {
    this.#target = target;
  }

  /** Lets so many come at once. */
  async come(count: number, options?: ClientOptions): Promise<void> {
    const clients = Array.from({ length: count }, () => new JanusClient(this.#target, options));
    await until("each has its answer", () => {
      return clients.every(({ frames, ended }) => frames.length > 0 || ended !== null);
    }, 60_000);
    for (const client of clients) {
      const frame = client.frames.shift();
      if (frame?.includes('"token"')) this.greeted.push(client);
      else {
        this.refused.push(client);
        // Of a burst not everyone may hear it.
        if (frame !== undefined) this.reasons.add(errorOf(frame).message);
      }
    }
  }

  /** Lets so many of those go that were greeted. */
  async leave(count: number): Promise<void> {
    await Promise.all(this.greeted.splice(0, count).map((client) => client.dispose()));
  }

  /** Lets one come again and again until it's greeted. */
  async getIn(): Promise<void> {
    const before = this.greeted.length;
    const deadlineMs = performance.now() + 15_000;
    while (this.greeted.length === before) {
      assert(performance.now() < deadlineMs, "no client gets in any more");
      await this.come(1);
    }
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.greeted, ...this.refused].map((client) => client.dispose()));
  }
}

/** A crowd before a server with so many workers. */
async function withCrowd(
  runtime: RuntimeName,
  workers: number,
  flags: readonly string[],
  body: (crowd: Crowd, server: ServerProcess, target: Target) => Promise<void>,
): Promise<void> {
  await withWorkers(runtime, workers, async (server, target) => {
    const crowd = new Crowd(target);
    try {
      await body(crowd, server, target);
    } finally {
      await crowd.dispose();
    }
  }, flags);
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`${runtime}'s workers together`, { skip: skipWorkers }, () => {
    for (const workers of [2, 3]) {
      it(`let in as many as one process would: ${workers}`, PATIENCE, async () => {
        const flags = ["--max-connections", "400", "--max-connections-per-ip", "400"];
        await withCrowd(runtime, workers, flags, async (crowd) => {
          await crowd.come(400);
          assertEquals(crowd.refused.length, 0);
          await crowd.come(20);
          assertEquals(crowd.refused.length, 20);
          // Both limits are reached: it may be either that is named.
          for (const reason of crowd.reasons) assertMatch(reason, /^All 400 connections .*taken$/);
          // Wherever places come free, new clients get them, and not one more.
          for (let round = 0; round < 2; round++) {
            await crowd.leave(100);
            await sleep(1_000);
            await crowd.come(100);
            assertEquals(crowd.refused.length, 20 + round);
            await crowd.come(1);
            assertEquals(crowd.refused.length, 21 + round);
          }
        });
      });
    }

    it("let one address have what is its", PATIENCE, async () => {
      const flags = ["--max-connections", "1000", "--max-connections-per-ip", "101"];
      await withCrowd(runtime, 2, flags, async (crowd) => {
        await crowd.come(130);
        assertEquals(crowd.greeted.length, 101);
        assertEquals([...crowd.reasons], ["All 101 connections of one address are taken"]);
        await crowd.come(101, { from: "127.0.0.2" });
        assertEquals(crowd.greeted.length, 202);
        await crowd.leave(1);
        await crowd.getIn();
      });
    });

    it("keep a place for one while another floods", PATIENCE, async () => {
      const flags = ["--max-connections", "11", "--max-connections-per-ip", "10"];
      await withCrowd(runtime, 2, flags, async (crowd, _, target) => {
        const other = new Crowd(target);
        try {
          await Promise.all([
            crowd.come(200),
            ...Array.from({ length: 5 }, () => other.come(1, { from: "127.0.0.2" })),
          ]);
          // Some of the flood may have been greeted and given way since.
          const greeted = [...crowd.greeted, ...other.greeted];
          await until("no more are left than may be", () => {
            return greeted.filter(({ ended }) => ended === null).length === 11;
          });
          assert(other.greeted.length > 0, "the flood has taken every place");
        } finally {
          await other.dispose();
        }
      });
    });

    it("count how often one address connects", PATIENCE, async () => {
      await withCrowd(runtime, 3, ["--accept-rate", "5"], async (crowd) => {
        const startMs = performance.now();
        await crowd.come(60);
        const seconds = (performance.now() - startMs) / 1000;
        const most = 10 + Math.ceil(seconds * 5);
        const { length } = crowd.greeted;
        assert(length >= 10 && length <= most, `${length} of ${most} are greeted`);
        assertEquals([...crowd.reasons], [
          "More than 5 connections a second come from one address",
        ]);
        await crowd.come(10, { from: "127.0.0.2" });
        assertEquals(crowd.greeted.length, length + 10);
        await crowd.getIn();
      });
    });

    it(
      "look at as many wrong keys as one would, then slowly, and at right ones too",
      PATIENCE,
      async () => {
        const file = `${tmpdir()}/hotwheels-${process.pid}-${runtime}.keys`;
        writeFileSync(file, "right\n");
        try {
          await withCrowd(runtime, 3, ["--publish-key-file", file], async (crowd, _, target) => {
            await crowd.come(40);
            const startMs = performance.now();
            for (const client of crowd.greeted) client.send(authenticate("wrong"));
            const slow: number[] = [];
            await Promise.all(crowd.greeted.map(async (client) => {
              const { frames } = await client.closed();
              assertEquals(errorOf(frames[0]).message, "The key is wrong");
              const ms = performance.now() - startMs;
              // Of a second, which a worker that is late with its clock takes for shorter.
              if (ms > 500) slow.push(ms);
            }));
            assert(slow.length >= 30, `${slow.length} of 40 were slow`);
            for (let i = 0; i < 3; i++) {
              const client = await JanusClient.greeted(target);
              client.send(authenticate("right"));
              assertEquals(await client.frame(), "ACK");
              await client.dispose();
            }

            // Where some wrong ones came, right ones may have to wait, and what is behind them too.
            await crowd.come(5, { from: "127.0.0.2" });
            for (const client of crowd.greeted.slice(-5)) {
              client.send(authenticate("wrong"));
              assertEquals(errorOf((await client.closed()).frames[0]).message, "The key is wrong");
            }
            const readers = await Promise.all(Array.from({ length: 30 }, () => {
              return JanusClient.greeted(target, { from: "127.0.0.2" });
            }));
            for (const reader of readers) {
              reader.send(
                authenticate("right") + subscribe("t") +
                  'PUBLISH\0{"topic":"t","event":"e","message_id":"","data":1}\0',
              );
            }
            for (const reader of readers) assertEquals(await reader.next(2), ["ACK", "ACK"]);
            for (const reader of readers) await reader.dispose();
          });
        } finally {
          unlinkSync(file);
        }
      },
    );

    it("share the places for topics", PATIENCE, async () => {
      await withCrowd(runtime, 3, ["--max-topics-total", "50"], async (crowd) => {
        await crowd.come(60);
        for (const [i, client] of crowd.greeted.entries()) {
          client.send(`${subscribe(`topic ${i}`)}${subscribe(`topic ${i}`)}`);
        }
        await until("each has its answer", () => {
          return crowd.greeted.every(({ frames, ended }) => frames.length === 2 || ended !== null);
        });
        const ended = crowd.greeted.filter(({ ended }) => ended !== null);
        assertEquals(ended.length, 10);
        for (const { frames } of ended) {
          assertEquals(errorOf(frames[0]).message, "All 50 topics of the server are taken");
        }
      });
    });

    it("take over the places of one that is killed", PATIENCE, async () => {
      const flags = ["--max-connections", "300", "--max-connections-per-ip", "300"];
      await withCrowd(runtime, 2, flags, async (crowd, server) => {
        await crowd.come(300);
        assertEquals([...crowd.reasons], []);
        assertEquals(crowd.refused.length, 0);
        const [victim] = workersOf(server);
        process.kill(victim as number, "SIGKILL");
        await until("its clients lose their connections", () => {
          return crowd.greeted.some(({ ended }) => ended !== null);
        });
        await sleep(1_000);
        const lost = crowd.greeted.filter(({ ended }) => ended !== null).length;
        assertNotEquals(lost, 0);
        await crowd.come(lost);
        assertEquals(crowd.refused.length, 0);
        await crowd.come(5);
        assertEquals(crowd.refused.length, 5);
        await until("another worker has joined", () => workersOf(server).length === 2);
        await crowd.come(20);
        assertEquals(crowd.refused.length, 25);
      });
    });

    it("go on with what they have while the supervisor stands still", PATIENCE, async () => {
      const flags = ["--max-connections", "200", "--max-connections-per-ip", "200"];
      await withCrowd(runtime, 2, flags, async (crowd, server, target) => {
        process.kill(server.pid, "SIGSTOP");
        try {
          await crowd.come(150);
          // Half of all is the workers' own.
          assert(crowd.greeted.length >= 50, `${crowd.greeted.length} are greeted`);
          assert(crowd.greeted.length <= 100, `${crowd.greeted.length} are greeted`);
          const [reader] = crowd.greeted;
          await reader!.subscribe("t");
        } finally {
          process.kill(server.pid, "SIGCONT");
        }
        const missing = 200 - crowd.greeted.length;
        await crowd.getIn();
        await crowd.come(missing - 1);
        assertEquals(crowd.greeted.length, 200);
        assertEquals((await new JanusClient(target).closed()).frames.length <= 1, true);
      });
    });
  });
}
