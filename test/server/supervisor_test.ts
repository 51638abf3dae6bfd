import { getLogger } from "@logtape/logtape";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { spawnSync } from "node:child_process";
import process from "node:process";
import { describe, it } from "node:test";
import { detectRuntime } from "../../runtime/detect.ts";
import type { Address, Connection, ConnectionHandler } from "../../runtime/types.ts";
import { workerLimits } from "../../server/limits.ts";
import { completeLimits } from "../../server/serve.ts";
import { Supervisor } from "../../server/supervisor.ts";
import { JanusClient } from "../support/janus_client.ts";
import { ServerCommand } from "../support/server_command.ts";
import { TESTED_RUNTIMES } from "../support/tested_runtimes.ts";
import { until } from "../support/until.ts";
import { skipWorkers, withWorkers, workersOf } from "../support/workers.ts";

const timeout = 120_000;

/** How many of a process's descriptors are sockets of TCP. */
function tcpSocketsOf(pid: number): number {
  const look = `awk '{ print "inode " $10 }' "/proc/$1/net/tcp" "/proc/$1/net/tcp6"
    ls -l "/proc/$1/fd"`;
  const { stdout } = spawnSync("sh", ["-c", look, "sh", String(pid)], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  const inodes = new Set([...stdout.matchAll(/^inode (\d+)$/gm)].map(([, inode]) => inode));
  const held = [...stdout.matchAll(/socket:\[(\d+)\]/g)].map(([, inode]) => inode);
  return held.filter((inode) => inodes.has(inode)).length;
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`a supervisor on ${runtime}`, { skip: skipWorkers }, () => {
    it("has no socket of clients, neither listening nor connected", { timeout }, async () => {
      await withWorkers(runtime, 2, async (server, target) => {
        const clients = await Promise.all(
          Array.from({ length: 20 }, () => JanusClient.greeted(target)),
        );
        const { pid } = server;
        const held = workersOf({ pid }).map(tcpSocketsOf);
        assert(held.reduce((sum, count) => sum + count, 0) >= clients.length + 2, String(held));
        assertEquals(tcpSocketsOf(pid), 0);
        for (const client of clients) await client.dispose();
      });
    });

    it("gives up when five workers have died within a minute", { timeout }, async () => {
      const server = await ServerCommand.listening(runtime, ["--workers", "2"]);
      try {
        const dead = new Set<number>();
        for (let death = 1; death <= 5; death++) {
          const joined = () => workersOf(server).filter((worker) => !dead.has(worker)).length === 2;
          await until("there are two workers", joined, 30_000);
          const victim = workersOf(server).find((worker) => !dead.has(worker)) as number;
          dead.add(victim);
          process.kill(victim, "SIGKILL");
        }
        const { status, stderr } = await server.exited();
        assertEquals(status, 1);
        assertMatch(
          stderr,
          /\nhotwheels: 5 workers died within 60 s, the last ended [^\n]*: giving up/,
        );
      } finally {
        await server.dispose();
      }
    });
  });
}

describe("a supervisor", { skip: skipWorkers }, () => {
  it("starts while clients connect to the port that it tries", { timeout }, async () => {
    const own = await detectRuntime();
    const free = await own.listen(SOMEWHERE, ignored);
    await free.close();
    const address = free.address as Extract<Address, { transport: "tcp" }>;
    const ends: string[] = [];
    const runtime = await detectRuntime();
    runtime.listen = async (options, accept) => {
      const listener = await own.listen(options, accept);
      await own.connect(address, (connection) => ({
        ...ignored(connection),
        onEnd: () => connection.close(),
        onClose: (why) => ends.push(why),
      }));
      await until("the client is turned away", () => ends.length > 0);
      return listener;
    };
    const limits = completeLimits({ maxConnections: 100 }, 2);
    const supervisor = new Supervisor(runtime, {
      workers: 2,
      ...address,
      tls: null,
      limits: workerLimits(limits, 2),
      maxOwnConnections: 50,
      access: {},
      logLevel: "error",
      drainMs: null,
    }, getLogger("hotwheels"));
    try {
      assertEquals(await supervisor.start(), address);
      const client = await JanusClient.greeted(address);
      await client.dispose();
    } finally {
      await supervisor.stop();
    }
  });
});

const SOMEWHERE = { transport: "tcp", hostname: "127.0.0.1", port: 0 } as const;

function ignored(_: Connection): ConnectionHandler {
  return { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };
}
