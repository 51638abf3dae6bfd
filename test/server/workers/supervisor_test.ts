import { assert, assertEquals } from "@std/assert";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { JanusClient } from "../../support/clients/janus_client.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { skipWorkers, withWorkers, workersOf } from "../../support/processes/workers.ts";

const timeout = 120_000;

/** The number of a process's descriptors that are TCP sockets. */
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
  });
}
