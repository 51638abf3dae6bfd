import { assert, assertEquals, assertMatch } from "@std/assert";
import { spawnSync } from "node:child_process";
import process from "node:process";
import { describe, it } from "node:test";
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
