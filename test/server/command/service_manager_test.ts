import { assert, assertEquals, assertMatch } from "@std/assert";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { findProgram, PROJECT_ROOT } from "../../../cli/program.ts";
import { CommandProcess } from "../../support/processes/command_process.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { until } from "../../support/until.ts";

const timeout = 60_000;

const RECEIVER = fileURLToPath(import.meta.resolve("./fixtures/notified.ts"));

const hasProgram = spawnSync("systemd-notify", ["--version"]).status === 0;

function start(command: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const [program = "", ...args] = command;
  const { PATH, HOME } = process.env;
  return new CommandProcess(
    spawn(program, args, {
      cwd: PROJECT_ROOT,
      env: { PATH, HOME, NO_COLOR: "1", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    }),
  );
}

for (const runtime of TESTED_RUNTIMES) {
  const skip = process.platform !== "linux"
    ? "there is no systemd here"
    : runtime === "deno" && !hasProgram && "there is no systemd-notify here";
  describe(`a service manager of a server on ${runtime}`, { skip }, () => {
    for (const workers of [1, 2]) {
      it(
        `hears when it is ready, reloads, lives and stops, workers: ${workers}`,
        { timeout },
        async () => {
          const folder = mkdtempSync(join(tmpdir(), "hotwheels-notify-"));
          const socket = join(folder, "notify");
          const receiver = start([
            findProgram("deno").path,
            ...["run", "--quiet", "--allow-all", "--unstable-net", RECEIVER, socket],
          ]);
          /** What it has heard, without what systemd-notify says of itself. */
          const heard = () =>
            receiver.stdout.split("\n").slice(1, -1).map((line) => JSON.parse(line) as string)
              .filter((text) => !text.startsWith("BARRIER"));
          const states = () => heard().map((text) => text.split("\n")[0]);
          try {
            await until("the manager listens", () => receiver.stdout.includes("listening"), 30_000);
            const command = runtime === "bun"
              ? [findProgram("bun").path, "run", "server/main.ts"]
              : ["sh", "cli/hotwheels.sh", "serve", "--runtime", "deno"];
            const flags = ["--host", "127.0.0.1", "--port", "0", "--workers", `${workers}`];
            const server = start([...command, ...flags, "--drain-seconds", "1"], {
              NOTIFY_SOCKET: socket,
              WATCHDOG_USEC: "600000",
            });
            try {
              await until("it is ready", () => states().includes("READY=1"), 30_000);
              assertMatch(heard()[0]!, /^READY=1\nSTATUS=listening on 127\.0\.0\.1:\d+ \(/);
              const watched = () => states().filter((state) => state === "WATCHDOG=1").length;
              await until("it lives", () => watched() >= 3);
              server.signal("SIGHUP");
              await until("it reloads", () => states().includes("RELOADING=1"));
              const later = () => states().slice(states().indexOf("RELOADING=1"));
              await until("it is ready again", () => later().includes("READY=1"));
            } finally {
              server.signal("SIGTERM");
            }
            const { status, stderr } = await server.ended;
            assertEquals(status, 0, stderr);
            await until("it has said so", () => states().includes("STOPPING=1"));
            const last = heard().find((text) => text.startsWith("STOPPING"));
            assertEquals(last, "STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=11000000");
            assert(!/service manager/.test(stderr), stderr);
          } finally {
            receiver.signal("SIGTERM");
            await receiver.ended;
            rmSync(folder, { recursive: true });
          }
        },
      );
    }

    it("that is gone costs a line, and no client", { timeout }, async () => {
      const command = runtime === "bun"
        ? [findProgram("bun").path, "run", "server/main.ts"]
        : ["sh", "cli/hotwheels.sh", "serve", "--runtime", "deno"];
      const server = start([...command, "--host", "127.0.0.1", "--port", "0"], {
        NOTIFY_SOCKET: "/nowhere/notify",
        WATCHDOG_USEC: "200000",
      });
      await until("it says so", () => server.stderr.includes("service manager"), 30_000);
      server.signal("SIGTERM");
      const { status, stderr } = await server.ended;
      assertEquals(status, 0);
      const lines = stderr.split("\n").filter((line) => line.includes("service manager"));
      assertEquals(lines.length, 1, stderr);
      assertMatch(lines[0]!, /^hotwheels: can't tell the service manager READY=1: /);
    });
  });
}
