import { assertMatch } from "@std/assert";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { PROJECT_ROOT, type RuntimeName } from "../../../../cli/program.ts";
import { JanusClient, message, publishForReceipt } from "../../../support/clients/janus_client.ts";
import { directCommand, ServerCommand } from "../../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../../support/processes/tested_runtimes.ts";
import { skipWorkers } from "../../../support/processes/workers.ts";
import { until } from "../../../support/until.ts";

const timeout = 60_000;

/** What the server is made of. */
const PARTS = [
  "server",
  "protocol",
  "runtime",
  "cli",
  "host",
  "client",
  "deno.json",
  "package.json",
  "tsconfig.json",
];

/** A copy of the server that has all packages but those of NATS. */
function copyWithoutNats(): string {
  const folder = mkdtempSync(join(tmpdir(), "hotwheels-without-nats-"));
  for (const name of PARTS) {
    cpSync(join(PROJECT_ROOT, name), join(folder, name), { recursive: true });
  }
  const packages = join(PROJECT_ROOT, "node_modules");
  mkdirSync(join(folder, "node_modules"));
  for (const name of readdirSync(packages)) {
    if (name === "@nats-io") continue;
    symlinkSync(join(packages, name), join(folder, "node_modules", name));
  }
  return folder;
}

/** The command line that runs the copy. */
function commandIn(folder: string, runtime: RuntimeName): readonly string[] {
  const own = ["cli/launch.sh", "server/main.ts"];
  return directCommand(runtime).map((word) => own.includes(word) ? join(folder, word) : word);
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`a server without a cluster, on ${runtime}`, { skip: skipWorkers }, () => {
    it("serves without NATS's packages, since it loads nothing of them", { timeout }, async () => {
      const folder = copyWithoutNats();
      const command = commandIn(folder, runtime);
      try {
        for (const workers of ["1", "2"]) {
          const server = await ServerCommand.listening(runtime, ["--workers", workers], command);
          const client = await JanusClient.greeted(server);
          client.send(publishForReceipt(message("t")));
          await until("it serves", () => client.frames.length === 1);
          client.close();
          server.signal("SIGTERM");
          await server.exited();
        }
        // With a cluster it needs them: this shows that they aren't found elsewhere.
        const joining = new ServerCommand(command, [
          ...["--host", "127.0.0.1", "--port", "0", "--cluster", "nats://127.0.0.1:1"],
        ]);
        await until("it looks for them", () => joining.stderr.includes("@nats-io"), 30_000);
        await joining.dispose();
        assertMatch(joining.stderr, /@nats-io\/transport-node/);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  });
}
