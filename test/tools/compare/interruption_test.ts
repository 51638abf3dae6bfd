import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { CompareReport } from "../../../tools/compare/results/report.ts";
import { findProgram, PROJECT_ROOT, type RuntimeName } from "../../../cli/program.ts";
import {
  CommandProcess,
  isRunning,
  startCommand,
} from "../../support/processes/command_process.ts";
import { descendants } from "../../support/processes/process_tree.ts";
import { leftTo, TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { until } from "../../support/until.ts";
import { PATIENCE, startCompare, withFolder } from "./comparison.ts";

const isDeno = "deno" in process.versions;

/** Servers and bots that a comparison has under way. */
function startedBy(command: CommandProcess): number[] {
  return descendants(command.pid).map(({ pid }) => pid);
}

function serversOf(command: CommandProcess): number[] {
  return descendants(command.pid).filter((one) => /server\/main\.ts/.test(one.command))
    .map(({ pid }) => pid);
}

async function hasRuns(command: CommandProcess, count: number): Promise<void> {
  await until(
    `${count} runs are over`,
    () => `\n${command.stderr}`.includes(`\nrun ${count} of 100`),
    120_000,
  );
  await until("the next has a server", () => serversOf(command).length > 0);
}

function reportIn(folder: string): CompareReport {
  return JSON.parse(readFileSync(join(folder, "report.json"), "utf8"));
}

const FLAGS = [20, "--runs", 50, "--rounds", 1];

describe("a comparison that a signal ends", () => {
  for (
    const [signal, expected, runtime] of [
      ["SIGINT", 130, "deno"],
      ["SIGTERM", 143, "bun"],
      ["SIGHUP", 129, "deno"],
    ] as const
  ) {
    it(`reports what is over, and leaves no process behind: ${signal}`, {
      ...PATIENCE,
      skip: leftTo(runtime),
    }, async () => {
      await withFolder(async (folder) => {
        using command = startCompare([...FLAGS, "--out", folder]);
        await hasRuns(command, 2);
        const pids = startedBy(command);
        command.signal(signal);
        const { status, stdout, stderr } = await command.ended;
        assertEquals(status, expected, stderr);
        assertEquals(pids.filter(isRunning), []);
        const { runs, interrupted, sizes } = reportIn(folder);
        assert(runs.length >= 2 && runs.length < 100);
        assertEquals(interrupted, { planned_runs: 100 });
        assertEquals(runs.map(({ run }) => run), runs.map((_, at) => at + 1));
        // A run that the signal came between isn't an invalid one.
        assertEquals(
          runs.filter(({ invalid_because }) =>
            /SIG|did not get|without/.test(`${invalid_because}`)
          ),
          [],
        );
        assertEquals(sizes.map(({ n }) => n), [20]);
        assertMatch(stdout, new RegExp(`^\nInterrupted: this is of ${runs.length} of 100 runs.\n`));
        assertMatch(stderr, /\ncompare: ending what runs, .*; a second signal ends at once\n/);
        assertStringIncludes(stderr, `\ncompare: ${runs.length} of 100 runs are over\n`);
        for (const page of ["report.md", "report.html"]) {
          const text = readFileSync(join(folder, page), "utf8");
          assertStringIncludes(text, `Interrupted: this is of ${runs.length} of 100 runs.`);
        }
        const again = await startCompare(["--from", join(folder, "report.json")]).ended;
        assertEquals([again.status, again.stdout], [0, stdout]);
      });
    });
  }

  it(
    "hears a terminal's Ctrl-C as a task too, which comes to all its processes",
    PATIENCE,
    async () => {
      await withFolder(async (folder) => {
        const flags = [...FLAGS, "--out", folder].map(String);
        const task = isDeno
          ? [findProgram("deno").path, "task", "-q", "compare", ...flags]
          : [findProgram("bun").path, "run", "tools/compare/main.ts", ...flags];
        using command = new CommandProcess(
          spawn(task[0]!, task.slice(1), {
            cwd: PROJECT_ROOT,
            stdio: ["ignore", "pipe", "pipe"],
            detached: true,
          }),
        );
        await hasRuns(command, 1);
        const pids = startedBy(command);
        process.kill(-command.pid, "SIGINT");
        const { stderr } = await command.ended;
        assertEquals(pids.filter(isRunning), []);
        const { runs, interrupted } = reportIn(folder);
        assertEquals(interrupted, { planned_runs: 100 }, stderr);
        assertEquals(runs.filter(({ rounds }) => rounds.length === 0), []);
      });
    },
  );

  it("has nothing to report before the first run is over", PATIENCE, async () => {
    await withFolder(async (folder) => {
      using command = startCompare([3000, "--runs", 50, "--out", join(folder, "new")]);
      await until("there is a server", () => startedBy(command).length > 0, 60_000);
      const pids = startedBy(command);
      command.signal("SIGINT");
      const { status, stdout, stderr } = await command.ended;
      assertEquals([status, stdout], [130, ""]);
      assertMatch(stderr, /\ncompare: no run was over, so there is nothing to report\n$/);
      assertEquals(pids.filter(isRunning), []);
      assertEquals(readdirSync(folder), []);
    });
  });

  it(
    "ends at once at the second signal, and its servers too, even one that hangs",
    PATIENCE,
    async () => {
      await withFolder(async (folder) => {
        using command = startCompare([...FLAGS, "--out", folder]);
        await hasRuns(command, 1);
        // One that doesn't listen for signals yet would die of the first even so.
        const bots = () => descendants(command.pid).some((one) => /bots_child/.test(one.command));
        await until("the server is up", bots);
        const pids = startedBy(command);
        for (const pid of serversOf(command)) process.kill(pid, "SIGSTOP");
        command.signal("SIGINT");
        await until("it has heard of the first", () => command.stderr.includes("a second signal"));
        await sleep(1000);
        command.signal("SIGINT");
        const { status } = await command.ended;
        assertEquals(status, 130);
        await until("all have ended", () => !pids.some(isRunning));
        // Else it would have waited for its servers, and reported.
        assertEquals(existsSync(join(folder, "report.json")), false);
      });
    },
  );
});

describe("what else starts servers", () => {
  const commands = [
    ["SIGINT", "tools/soak/main.ts", "--minutes", 5, "--runtime", "deno", "--workers", 2],
    ["SIGTERM", "tools/soak/main.ts", "--minutes", 5, "--runtime", "bun", "--door", "open"],
    ["SIGTERM", "tools/churn/main.ts", 1_000_000, "--runtime", "deno", "--workers", 2],
    ["SIGINT", "tools/churn/main.ts", 1_000_000, "--runtime", "bun"],
  ] as ["SIGINT" | "SIGTERM", string, ...(string | number)[]][];
  const own = commands.filter((command) =>
    TESTED_RUNTIMES.some((runtime) => command.includes(runtime))
  );
  for (const [signal, script, ...args] of own) {
    it(`leaves no process behind: ${script} ${args.join(" ")}, ${signal}`, PATIENCE, async () => {
      using command = startCommand(script, args);
      await until("a server runs", () => serversOf(command).length > 0, 60_000);
      await sleep(1000);
      const pids = startedBy(command);
      command.signal(signal);
      const { status, stdout, stderr } = await command.ended;
      assertEquals([status, stdout], [signal === "SIGINT" ? 130 : 143, ""], stderr);
      assertMatch(stderr, /: ending what runs; a second signal ends at once\n/);
      assertMatch(stderr, /so there is nothing to report\n$/);
      assertEquals(pids.filter(isRunning), []);
    });
  }

  for (
    const [runtime, script, ...args] of [
      [
        ...["deno", "tools/soak/main.ts", "--minutes", 0.03, "--workers", 1],
        ...["--door", "open", "--subscribers", 20],
      ],
      ["bun", "tools/churn/main.ts", 100],
    ] as [RuntimeName, string, ...(string | number)[]][]
  ) {
    it(`reports the servers that are over: ${script}`, {
      ...PATIENCE,
      skip: leftTo(runtime),
    }, async () => {
      using command = startCommand(script, [...args, "--json", "-"]);
      const isSecond = () =>
        descendants(command.pid).some((one) => /bun\S* run server\/main\.ts/.test(one.command));
      await until("the second server runs", isSecond, 120_000);
      const pids = startedBy(command);
      command.signal("SIGINT");
      const { status, stdout, stderr } = await command.ended;
      assertEquals(status, 130, stderr);
      assertEquals(pids.filter(isRunning), []);
      const report = JSON.parse(stdout);
      assertEquals([report.interrupted, report.passed], [true, false]);
      assertEquals(report.runs.map(({ server }: { server: string }) => server), ["deno"]);
    });
  }
});
