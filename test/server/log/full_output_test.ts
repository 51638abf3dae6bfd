import { assertEquals, assertMatch } from "@std/assert";
import { spawn, spawnSync } from "node:child_process";
import process from "node:process";
import { describe, it } from "node:test";
import { childEnvironment, PROJECT_ROOT } from "../../../cli/program.ts";
import { JanusClient, message, publish } from "../../support/clients/janus_client.ts";
import { directCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { quiet, until } from "../../support/until.ts";
import { skipWorkers, workersOf } from "../../support/processes/workers.ts";

const OWN_RUNTIME = TESTED_RUNTIMES[0]!;

const timeout = 60_000;

/** Redirections by which a shell leaves a command without a place to write. */
const OUTPUTS = ["> /dev/full", "2> /dev/full", "> /dev/full 2>&1", ">&- 2>&-"];

/** The TCP port on which a process listens, if it does. */
function portOf(pid: number): number | undefined {
  const look = `awk '$4 == "0A" { print "listener", $10, $2 }' /proc/net/tcp; ls -l "/proc/$1/fd"`;
  const { stdout } = spawnSync("sh", ["-c", look, "sh", String(pid)], { encoding: "utf8" });
  const own = new Set([...stdout.matchAll(/socket:\[(\d+)\]/g)].map(([, inode]) => inode));
  const listeners = [...stdout.matchAll(/^listener (\d+) [0-9A-F]+:([0-9A-F]+)$/gm)];
  const port = listeners.find(([, inode]) => own.has(inode))?.[2];
  return port === undefined ? undefined : parseInt(port, 16);
}

describe(`a server on ${OWN_RUNTIME} that can't write`, { skip: skipWorkers }, () => {
  for (const workers of [1, 2]) {
    for (const output of OUTPUTS) {
      it(`serves all the same, ${output}, workers: ${workers}`, { timeout }, async () => {
        const flags = ["--host", "127.0.0.1", "--port", "0", "--workers", `${workers}`];
        const command = [...directCommand(OWN_RUNTIME), ...flags, "--log-level", "debug"];
        const child = spawn("sh", ["-c", `exec "$@" ${output}`, "sh", ...command], {
          cwd: PROJECT_ROOT,
          env: childEnvironment(),
          stdio: "ignore",
        });
        let status: number | null | undefined;
        child.once("exit", (code) => status = code);
        try {
          let port: number | undefined;
          for (let look = 0; port === undefined && status === undefined && look < 200; look++) {
            await quiet(100);
            const [listener] = workers === 1 ? [child.pid!] : workersOf({ pid: child.pid! });
            if (listener !== undefined) port = portOf(listener);
          }
          assertEquals(status, undefined);
          const target = { hostname: "127.0.0.1", port: port! };
          // Something to log, and more than once.
          for (let i = 0; i < 3; i++) {
            const wrong = await JanusClient.greeted(target);
            wrong.send("nonsense\0");
            await wrong.closed();
          }
          const reader = await JanusClient.subscribed(target, "t");
          reader.send(publish(message("t", "well")));
          assertMatch(await reader.frame(), /well/);
          process.kill(child.pid!, "SIGHUP");
          process.kill(child.pid!, "SIGTERM");
          assertMatch((await reader.closed()).frames.at(-1) ?? "", /server_shutdown/);
          await until("it has ended", () => status !== undefined);
          assertEquals(status, 0);
        } finally {
          if (status === undefined) process.kill(child.pid!, "SIGKILL");
        }
      });
    }
  }

  it("says that it can't answer, in one line", {
    skip: OWN_RUNTIME === "bun" ? "Bun doesn't notice" : false,
  }, () => {
    const command = [...directCommand(OWN_RUNTIME), "--help"];
    const { status, stderr } = spawnSync("sh", ["-c", `"$@" > /dev/full`, "sh", ...command], {
      cwd: PROJECT_ROOT,
      env: childEnvironment(),
      encoding: "utf8",
    });
    assertEquals(status, 1);
    assertMatch(stderr, /^hotwheels: can't write to standard output: [^\n]+\n$/);
  });
});
