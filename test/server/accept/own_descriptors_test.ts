import { assertEquals, assertGreater, assertLessOrEqual } from "@std/assert";
import { spawnSync } from "node:child_process";
import process from "node:process";
import { describe, it } from "node:test";
import { linkDescriptorsFor, OWN_DESCRIPTORS } from "../../../host/capacity.ts";
import { FIRST, identityFile } from "../../support/identities.ts";
import { ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { TlsClient } from "../../support/clients/tls_client.ts";
import { until } from "../../support/until.ts";
import { skipWorkers, workersOf } from "../../support/processes/workers.ts";

/** Elsewhere nothing shows another process's descriptors. */
const skip = process.platform === "linux" ? false : "only Linux shows them";

/** The number of descriptors that a process has open. */
function descriptorsOf(pid: number): number {
  const { stdout } = spawnSync("ls", [`/proc/${pid}/fd`], { encoding: "utf8" });
  return stdout.trim().split(/\s+/).length;
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`a server on ${runtime}`, () => {
    it("needs no more descriptors for itself than are kept for it", { skip }, async () => {
      const files = [
        "--tls-cert",
        identityFile("first", "crt"),
        "--tls-key",
        identityFile("first", "key"),
      ];
      const server = await ServerCommand.listening(runtime, files);
      try {
        let most = 0;
        const timer = setInterval(() => most = Math.max(most, descriptorsOf(server.pid)), 5);
        try {
          for (let round = 1; round <= 5; round++) {
            const client = await TlsClient.dial(server.port, FIRST);
            client.dispose();
            process.kill(server.pid, "SIGHUP");
            await until("it is renewed", () => {
              return server.stderr.split("the certificate is renewed").length > round;
            });
          }
        } finally {
          clearInterval(timer);
        }
        assertGreater(most, 10);
        assertLessOrEqual(most, OWN_DESCRIPTORS);
      } finally {
        await server.dispose();
      }
    });

    it("needs no more in a worker than are kept for it and its links, also during a roll", {
      skip: skipWorkers,
      timeout: 60_000,
    }, async () => {
      const server = await ServerCommand.listening(runtime, ["--workers", "3"]);
      const most = { descriptors: 0, workers: 0 };
      const timer = setInterval(() => {
        const workers = workersOf(server);
        most.workers = Math.max(most.workers, workers.length);
        for (const pid of workers) {
          most.descriptors = Math.max(most.descriptors, descriptorsOf(pid));
        }
      }, 200);
      try {
        process.kill(server.pid, "SIGUSR2");
        await until(
          "all are replaced",
          () => /all workers are replaced/.test(server.stderr),
          40_000,
        );
        assertEquals(most.workers, 4);
        assertGreater(most.descriptors, 3 * 2);
        assertLessOrEqual(most.descriptors, OWN_DESCRIPTORS + linkDescriptorsFor(3));
      } finally {
        clearInterval(timer);
        await server.dispose();
      }
    });
  });
}
