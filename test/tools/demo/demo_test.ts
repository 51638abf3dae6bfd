import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { spawn } from "node:child_process";
import process from "node:process";
import { describe, it } from "node:test";
import { summarize } from "../../../tools/demo/summary.ts";
import { planDemo } from "../../../tools/demo/plan.ts";
import { findProgram, PROJECT_ROOT } from "../../../cli/program.ts";
import { EXIT_STATUS } from "../../../bots/results/outcome.ts";
import type { BotsReport } from "../../../bots/results/report.ts";
import { EnvironmentError } from "../../../cli/command_line.ts";
import { readFacts, type SystemFacts } from "../../../host/facts.ts";
import { runCommand } from "../../support/processes/fixture.ts";
import { CommandProcess, isAlive, startCommand } from "../../support/processes/command_process.ts";
import { descendants } from "../../support/processes/process_tree.ts";
import { leftTo } from "../../support/processes/tested_runtimes.ts";
import { until } from "../../support/until.ts";
import { botsReport, round } from "../compare/bots_reports.ts";

const PATIENCE = { timeout: 240_000 };

function demo(...args: (string | number)[]): CommandProcess {
  return startCommand("tools/demo/main.ts", args);
}

/** The demonstration as users start it, where no process may have more descriptors than that. */
function demoWithin(descriptors: number, n: number): CommandProcess {
  const command = "deno" in process.versions
    ? [findProgram("deno").path, "task", "-q", "demo", String(n)]
    : [...runCommand, "tools/demo/main.ts", String(n)];
  return new CommandProcess(
    spawn("sh", ["-c", `ulimit -n ${descriptors} && exec "$@"`, "sh", ...command], {
      cwd: PROJECT_ROOT,
      stdio: ["ignore", "pipe", "pipe"],
    }),
  );
}

describe("the demo", () => {
  it("shows both runtimes' servers, compares them and ends", PATIENCE, async () => {
    const { status, stdout } = await demo(100).ended;
    // A busy machine may spoil a run, however often it's made again.
    const isValid = status === EXIT_STATUS.passed;
    assert(isValid || status === EXIT_STATUS.invalid, stdout);
    for (const runtime of ["deno", "bun"]) {
      const shown = `${runtime} \\d+\\.\\d+\\.\\d+: 100 bots\\n\\nverdict: [^]+?`;
      assertMatch(
        stdout,
        new RegExp(`(^|\\n)--- ${shown}\\nsetup: .*, n: 100, good: 100, bad: 0,`),
      );
      if (!isValid) continue;
      const reached = "the last of 100 bots had the message after \\d+\\.\\d ms";
      assertMatch(stdout, new RegExp(`\\n${runtime}: (under [12] s|2 s or more): ${reached}\\n`));
    }
    const end = isValid
      ? /\n(deno|bun) was \d+\.\d\d times as fast, this once\n$/
      : /\nno comparison: the run against (deno|bun) is invalid/;
    assertMatch(stdout, end);
    assertEquals(stdout.split("\n").filter((line) => line.length > 80), []);
  });

  it("speaks of 1 bot", { ...PATIENCE, skip: leftTo("bun") }, async () => {
    const { stdout } = await demo(1).ended;
    assertMatch(stdout, /^--- deno .*: 1 bot\n/);
    assertEquals(stdout.match(/1 bots/), null);
  });

  it(
    "takes workers and processes of bots where one's descriptors don't suffice",
    { ...PATIENCE, skip: process.platform === "linux" ? leftTo("deno") : "workers need Linux" },
    async () => {
      const { status, stdout, stderr } = await demoWithin(300, 400).ended;
      // A busy machine may spoil a measurement.
      assert(status === EXIT_STATUS.passed || status === EXIT_STATUS.invalid, `${status}`);
      assertEquals(stderr, "");
      assertMatch(stdout, /^--- deno .*, 3 workers: 400 bots\n/);
      assertMatch(stdout, /\n--- bun .*, 3 workers: 400 bots\n/);
      // A run that was invalid was made again.
      assert(stdout.match(/n: 400, good: 400, bad: 0,/g)!.length >= 2);
      assertEquals(stdout.match(/n: 400, .*bad: [1-9]/), null);
    },
  );

  it("refuses what it doesn't understand", PATIENCE, async () => {
    for (const args of [["0"], ["some"], ["1", "2"], ["--fast"]]) {
      const { status, stdout, stderr } = await demo(...args).ended;
      assertEquals([status, stdout], [2, ""]);
      assertMatch(stderr, /^demo: .*\n$/);
      assertStringIncludes(stderr, args.at(-1)!);
    }
  });
});

describe("the demo on a signal", () => {
  const moments: Readonly<Record<string, RegExp>> = {
    "its server starts": /server\/main\.ts|task -q serve/,
    "its bots run": /bots\/main\.ts/,
  };
  const signals = [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const;
  for (const [i, [signal, expected]] of signals.entries()) {
    for (const [j, [moment, command]] of Object.entries(moments).entries()) {
      it(`leaves nothing behind on ${signal} while ${moment}`, {
        ...PATIENCE,
        skip: leftTo((i + j) % 2 === 0 ? "deno" : "bun"),
      }, async () => {
        const run = demo(2000);
        const started = new Map<number, string>();
        await until("it has got so far", () => {
          for (const one of descendants(run.pid)) started.set(one.pid, one.command);
          return [...started.values()].some((text) => command.test(text));
        }, 60_000);
        run.signal(signal);
        const look = setInterval(() => {
          for (const one of descendants(run.pid)) started.set(one.pid, one.command);
        }, 20);
        const left = () => [...started].filter(([pid]) => isAlive(pid));
        try {
          await run.exited;
          clearInterval(look);
          await until("all have ended", () => left().length === 0, 2000);
          assertEquals((await run.ended).status, expected);
        } finally {
          clearInterval(look);
          for (const [pid] of left()) process.kill(pid, "SIGKILL");
        }
      });
    }
  }
});

describe("the end of a demo", () => {
  const fine = (max: number) => botsReport([round(0, max)], { verdict: "under_1_s" });
  const spoilt = (more: Partial<BotsReport>) =>
    botsReport([round(0, 50)], { valid: false, verdict: "neither", ...more });

  it("compares two good runs", () => {
    assertEquals(summarize({ deno: fine(120), bun: fine(100) }), {
      text: "deno: under 1 s: the last of 10 bots had the message after 120.0 ms\n" +
        "bun: under 1 s: the last of 10 bots had the message after 100.0 ms\n" +
        "bun was 1.20 times as fast, this once",
      status: 0,
    });
    assertStringIncludes(
      summarize({ deno: fine(50), bun: fine(100) }).text,
      "\ndeno was 2.00 times",
    );
  });

  it("compares no run that is invalid, and says which was, and why", () => {
    const why = "bots' process 7: the event loop stood still for 40.0 ms";
    const { text, status } = summarize({
      deno: fine(120),
      bun: spoilt({ invalid_because: [why] }),
    });
    assertEquals(status, 3);
    assertEquals(
      text,
      "deno: under 1 s: the last of 10 bots had the message after 120.0 ms\n" +
        "bun: INVALID: this run is no measure of the server: bots' process 7: the event\n" +
        "  loop stood still for 40.0 ms\n" +
        "no comparison: the run against bun is invalid",
    );
  });

  it("compares no run that failed, which outweighs an invalid one", () => {
    const failed = botsReport([round(0, 50)], { good: 9, bad: 1, verdict: "neither" });
    const { text, status } = summarize({ deno: failed, bun: spoilt({ invalid_because: ["why"] }) });
    assertEquals(status, 1);
    assertMatch(text, /^deno: FAILED: 1 of 10 bots did not get every message once, intact and in/);
    assertMatch(
      text,
      /\nno comparison: the run against deno failed, and the run against bun is invalid$/,
    );
    assertEquals(text.match(/times as fast/), null);
  });
});

describe("the plan of a demo", () => {
  const facts: SystemFacts = {
    ...readFacts(),
    os: "Linux",
    cores: 2,
    memoryBytes: 64e9,
    freeMemoryBytes: 32e9,
    descriptorLimit: 20_000,
    maxDescriptorLimit: 1_000_000,
    maxOpenFiles: 10_000_000,
    maxBacklog: 4096,
    portRange: { first: 32_768, last: 60_999 },
    tcpMemory: null,
    conntrack: null,
  };

  it("is one server process on the loopback address where that suffices", () => {
    assertEquals(planDemo(5000, facts), {
      workers: 1,
      flags: ["--host", "127.0.0.1", "--log-level", "warning"],
    });
  });

  it("shares the bounty among two, on more addresses of this machine, and for it alone", () => {
    assertEquals(planDemo(20_000, facts), {
      workers: 2,
      flags: [
        ...["--host", "0.0.0.0", "--publish-from", "127.0.0.0/8"],
        ...["--subscribe-from", "127.0.0.0/8", "--workers", "2", "--log-level", "warning"],
      ],
    });
    assertEquals(planDemo(20_000, { ...facts, descriptorLimit: 200_000 }).workers, 1);
    assertEquals(planDemo(19_000, facts).workers, 1);
  });

  it("says what mends it where this machine doesn't take so many", () => {
    const says = (n: number, more: Partial<SystemFacts>, ...parts: string[]) => {
      const error = assertThrows(() => planDemo(n, { ...facts, ...more }), EnvironmentError);
      for (const part of parts) assertStringIncludes(error.message, part);
      assertEquals(error.message.includes("\n"), false);
    };
    says(20_000, { os: "Darwin" }, "20000 clients", "20000 are allowed", "ulimit -n 2");
    says(100_000, { descriptorLimit: 1024 }, "64 server processes", "1024", "ulimit -n");
    says(20_000, { maxOpenFiles: 1000 }, "1000 are allowed", "fs.file-max");
    says(1_000_000, { memoryBytes: 1e9, freeMemoryBytes: 5e8, descriptorLimit: 2e6 }, "MB");
  });
});
