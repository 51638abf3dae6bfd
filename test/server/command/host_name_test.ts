import { assertEquals } from "@std/assert";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { FIRST, identityFile } from "../../support/identities.ts";
import { directCommand, ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { TlsClient } from "../../support/clients/tls_client.ts";
import { until } from "../../support/until.ts";
import { skipWorkers, workersOf } from "../../support/processes/workers.ts";

/** Puts a file of its own in the place of /etc/hosts, for one command. */
const WITH_HOSTS = ["unshare", "-rm", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"'];

/** Mount namespaces aren't for everybody. */
function skipReason(): string | false {
  if (skipWorkers !== false) return skipWorkers;
  const [program, ...args] = [...WITH_HOSTS, "/etc/hosts", "true"];
  return spawnSync(program!, args).status === 0 ? false : "needs a mount namespace";
}

const NAME = "server.hotwheels.test";

for (const runtime of TESTED_RUNTIMES) {
  describe(`a server on ${runtime} that listens on a name`, { skip: skipReason() }, () => {
    it("looks it up once: neither SIGHUP nor a new worker needs a name service", {
      timeout: 60_000,
    }, async () => {
      const folder = mkdtempSync(join(tmpdir(), "hotwheels-host-"));
      const hosts = join(folder, "hosts");
      writeFileSync(hosts, `127.0.0.1 localhost ${NAME}\n`);
      const files = [
        ...["--tls-cert", identityFile("first", "crt")],
        ...["--tls-key", identityFile("first", "key")],
      ];
      try {
        const server = await ServerCommand.listening(
          runtime,
          ["--host", NAME, "--workers", "2", ...files],
          [...WITH_HOSTS, hosts, ...directCommand(runtime)],
        );
        try {
          writeFileSync(hosts, "127.0.0.1 localhost\n");
          process.kill(server.pid, "SIGHUP");
          await until("it's renewed or not", () => / is (not )?renewed/.test(server.stderr));
          process.kill(workersOf(server)[0]!, "SIGKILL");
          await until("another has joined or can't", () => {
            return /has joined|can't be started/.test(server.stderr);
          }, 20_000);
          assertEquals(
            server.stderr.match(/is not renewed|stays as it was|can't be started/g),
            null,
            server.stderr,
          );
          for (let i = 0; i < 8; i++) {
            const client = await TlsClient.subscribed(server.port, FIRST);
            client.dispose();
          }
          server.signal("SIGTERM");
          assertEquals((await server.exited()).status, 0);
        } finally {
          await server.dispose();
        }
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  });
}
