import { assert, assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { directCommand, ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { environmentOf, skipWorkers, workersOf } from "../../support/processes/workers.ts";

const OWN_RUNTIME = TESTED_RUNTIMES[0]!;

/** A folder that doesn't exist. */
const NEEDED = [
  "LD_LIBRARY_PATH=/tmp/hotwheels-no-libraries",
  "XDG_CACHE_HOME=/tmp/hotwheels-no-cache",
  "DENO_DIR=/tmp/hotwheels-no-cache",
];

const SECRETS = ["DENO_AUTH_TOKENS=secret@example.com", "AWS_SECRET_ACCESS_KEY=secret"];

describe(`a worker on ${OWN_RUNTIME}`, { skip: skipWorkers }, () => {
  it("gets of the environment what its runtime needs, and no secret", {
    timeout: 60_000,
  }, async () => {
    const command = ["env", ...NEEDED, ...SECRETS, ...directCommand(OWN_RUNTIME)];
    const server = await ServerCommand.listening(OWN_RUNTIME, ["--workers", "2"], command);
    try {
      const workers = workersOf(server);
      assertEquals(workers.length, 2);
      for (const worker of workers) {
        const environment = environmentOf(worker);
        for (const variable of NEEDED) {
          assert(environment.includes(variable), `${variable} isn't in ${environment.join(" ")}`);
        }
        assert(environment.some((variable) => variable.startsWith("HOME=")));
        assert(!environment.join().includes("secret"), environment.join(" "));
      }
      server.signal("SIGTERM");
      assertEquals((await server.exited()).status, 0);
    } finally {
      await server.dispose();
    }
  });
});
