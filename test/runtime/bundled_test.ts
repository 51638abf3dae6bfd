import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { childEnvironment, findProgram, PROJECT_ROOT } from "../../cli/program.ts";
import { CommandProcess } from "../support/processes/command_process.ts";
import { until } from "../support/until.ts";
import { workersOf } from "../support/processes/workers.ts";

const timeout = 60_000;

/** Processes share a port on Linux only. */
const skip = process.platform === "linux" ? false : "one process serves here";

describe("a program whose modules are all in one file", { skip }, () => {
  const bun = findProgram("bun").path;
  const folder = mkdtempSync(join(tmpdir(), "hotwheels-bundled-"));

  function build(...args: string[]): void {
    const options = { cwd: PROJECT_ROOT, env: childEnvironment(), encoding: "utf8" } as const;
    const { status, stderr } = spawnSync(bun, ["build", ...args], options);
    assertEquals(status, 0, stderr);
  }

  function start(...command: string[]): CommandProcess {
    const child = spawn(command[0]!, command.slice(1), {
      // There is nothing of the project here.
      cwd: folder,
      env: childEnvironment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    return new CommandProcess(child);
  }

  before(() => {
    const command = ["task", "-q", "build:executable", "--runtime", "bun", "--out", folder];
    const made = spawnSync(findProgram("deno").path, command, {
      cwd: PROJECT_ROOT,
      env: childEnvironment(),
      encoding: "utf8",
    });
    assertEquals(
      [made.status, made.stdout],
      [0, `${join(folder, "hotwheels-bun")}\n`],
      made.stderr,
    );
    build("--compile", "bots/main.ts", "--outfile", join(folder, "bots"));
    build("--target", "bun", "server/main.ts", "--outfile", join(folder, "server.js"));
  }, { timeout });

  after(() => rmSync(folder, { recursive: true }));

  const servers = {
    executable: [join(folder, "hotwheels-bun")],
    bundle: [bun, join(folder, "server.js")],
  };
  for (const [what, command] of Object.entries(servers)) {
    it(`has workers, and bots in several processes, as ${what}`, { timeout }, async () => {
      const flags = ["--host", "127.0.0.1", "--port", "0", "--workers", "2"];
      const server = start(...command, ...flags);
      try {
        await until("it listens", () => server.stdout.includes("\n"), 30_000);
        const [, port, pid] = /:(\d+) \(.*pid (\d+), 2 workers/.exec(server.stdout) ?? [];
        assertEquals(workersOf({ pid: Number(pid) }).length, 2);
        const args = ["1000", "127.0.0.1", port!, "--processes", "2"];
        const bots = await start(join(folder, "bots"), ...args).ended;
        assertStringIncludes(bots.stdout, "good: 1000, bad: 0", bots.stderr);
      } finally {
        server.signal("SIGTERM");
      }
      assertEquals((await server.ended).status, 0);
    });
  }

  it("takes its settings from the environment, and from no file that lies where it is started", {
    timeout,
  }, async () => {
    writeFileSync(join(folder, ".env"), "HOTWHEELS_PORT=1\nHOTWHEELS_NONE=1\n");
    const command = `HOTWHEELS_WORKERS=3 exec ./hotwheels-bun --print-config`;
    const { status, stdout, stderr } = await start("sh", "-c", command).ended;
    assertEquals([status, stderr], [0, ""]);
    assertMatch(
      stdout,
      /"port": 8081, \/\/ default\n(?:.*\n)* {2}"workers": 3, \/\/ HOTWHEELS_WORKERS\n/,
    );
  });

  it("takes no argument for its own that isn't one", { timeout }, async () => {
    const { status, stderr } = await start(join(folder, "hotwheels-bun"), "--as-child-process")
      .ended;
    assertEquals(status, 2);
    assertMatch(stderr, /^hotwheels: there is no flag "--as-child-process"[^\n]*\n$/);
  });
});
