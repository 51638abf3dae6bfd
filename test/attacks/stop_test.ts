import { assertEquals, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import { Fixture } from "../support/processes/fixture.ts";
import { ServerCommand } from "../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../support/processes/tested_runtimes.ts";
import { quiet } from "../support/until.ts";
import { skipWorkers } from "../support/processes/workers.ts";

/** The promised time, and what a busy machine may add to it. */
const BOUND_MS = 10_000 + 3_000;

const ATTACK_MS = 25_000;

for (const runtime of TESTED_RUNTIMES) {
  describe(`a stop of ${runtime} under attack`, { skip: skipWorkers }, () => {
    for (
      const [mode, clients, workers] of [
        ["large messages", 32, 1],
        ["tiny messages", 100, 1],
        ["tiny messages", 100, 2],
        ["a message, then an unfinished one", 400, 1],
      ] as const
    ) {
      it(`ends within 10 s: ${mode} of ${clients}, workers: ${workers}`, {
        timeout: 120_000,
      }, async () => {
        const flags = ["--workers", String(workers), "--log-level", "error"];
        const server = await ServerCommand.listening(runtime, flags);
        const script = new URL("../support/attacks/attacker.ts", import.meta.url).pathname;
        const args = [server.hostname, server.port, mode, clients, ATTACK_MS].map(String);
        const attacker = new Fixture(script, args);
        try {
          await quiet(2_000);
          const beganMs = performance.now();
          server.signal("SIGTERM");
          const { status, stderr } = await server.exited();
          assertEquals(status, 0, stderr);
          assertLess(performance.now() - beganMs, BOUND_MS, stderr);
        } finally {
          await attacker.stop();
          await server.dispose();
        }
      });
    }
  });
}
