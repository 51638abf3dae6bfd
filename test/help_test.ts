import { assertEquals, assertMatch } from "@std/assert";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { childEnvironment, findProgram, PROJECT_ROOT } from "../cli/program.ts";
import { CommandProcess, type Ended } from "./support/processes/command_process.ts";
import { TESTED_RUNTIMES } from "./support/processes/tested_runtimes.ts";

/** Each command by its task's name, with its script. */
const SCRIPTS: Readonly<Record<string, string>> = {
  "serve": "server/main.ts",
  "bots": "bots/main.ts",
  "pub": "commands/pub.ts",
  "sub": "commands/sub.ts",
  "trace": "commands/trace.ts",
  "top": "commands/top.ts",
  "doctor": "tools/doctor/main.ts",
  "hosts": "tools/hosts/main.ts",
  "compare": "tools/compare/main.ts",
  "soak": "tools/soak/main.ts",
  "churn": "tools/churn/main.ts",
  "demo": "tools/demo/main.ts",
  "bench": "test/bench/main.ts",
  "bench:fanout": "test/bench/fanout.ts",
  "bench:beside": "test/bench/beside.ts",
  "bench:stalled": "test/bench/stalled.ts",
  "bench:websockets": "test/bench/web_sockets.ts",
  "bench:workloads": "test/bench/workloads.ts",
  "build:executable": "tools/packaging/build_executable.ts",
  "build:package": "tools/packaging/build_package.ts",
  "test": "test/run.ts",
  "ok": "test/run.ts",
  "coverage": "test/coverage.ts",
};

/** A terminal's width. */
const COLUMNS = 80;

/** The output of a command, which must end at once. */
function hear(command: readonly string[]): Promise<Ended> {
  const [program = "", ...args] = command;
  const options = { cwd: PROJECT_ROOT, env: { ...childEnvironment(), NO_COLOR: "1" } };
  return new CommandProcess(spawn(program, args, options)).ended;
}

describe("the help of each command", () => {
  it("is asked of all of them, but for the runtime's own checks", () => {
    const { tasks } = JSON.parse(readFileSync(`${PROJECT_ROOT}deno.json`, "utf8"));
    assertEquals(
      Object.keys(tasks).sort(),
      [...Object.keys(SCRIPTS), "check", "test:watch"].sort(),
    );
  });

  for (const runtime of TESTED_RUNTIMES) {
    for (const [task, script] of Object.entries(SCRIPTS)) {
      const { path } = findProgram(runtime);
      const command = runtime === "deno" ? [path, "task", "-q", task] : [path, "run", script];

      it(`fits a terminal, from ${task} on ${runtime}`, async () => {
        const long = await hear([...command, "--help"]);
        assertEquals([long.status, long.stderr], [0, ""]);
        assertMatch(long.stdout, /^Hotwheels\b[^]*?\n\nUsage\b/);
        assertMatch(long.stdout, /^ +-h, --help +print this$/m);
        assertMatch(long.stdout, /^ +--version +print the version$/m);
        assertEquals(long.stdout.split("\n").filter((line) => line.length > COLUMNS), []);
        // All commands take it for --help in one place; a task passes on whatever it's given.
        if (task === "serve") assertEquals(await hear([...command, "-h"]), long);
      });
    }
  }
});
