import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { startAttacker } from "../support/attacks/attack_bed.ts";
import { ServerCommand } from "../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../support/processes/tested_runtimes.ts";
import { quiet } from "../support/until.ts";
import { skipWorkers } from "../support/processes/workers.ts";

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
      it(`ends while it goes on: ${mode} of ${clients}, workers: ${workers}`, {
        timeout: 120_000,
      }, async () => {
        const flags = ["--workers", String(workers), "--log-level", "error"];
        const server = await ServerCommand.listening(runtime, flags);
        const attacker = startAttacker(server, mode, clients);
        try {
          await quiet(1_000);
          server.signal("SIGTERM");
          const { status, stderr } = await server.exited();
          assertEquals(status, 0, stderr);
        } finally {
          await attacker.stop();
          await server.dispose();
        }
      });
    }
  });
}
