import { assert, assertEquals } from "@std/assert";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { childEnvironment, findProgram, PROJECT_ROOT } from "../../../cli/program.ts";
import { CommandProcess } from "../../support/processes/command_process.ts";
import { until } from "../../support/until.ts";
import { environmentOf, withWorkers, workersOf } from "../../support/processes/workers.ts";

const timeout = 120_000;

/** Processes share a port on Linux only. */
const skip = process.platform === "linux" ? false : "one process serves here";

/** The variables with facts that a sandboxed command can't find out itself. */
const FACTS = { HOTWHEELS_NOFILE: "5000", HOTWHEELS_FACTS: "somaxconn=7" };

/** The variables that name the caches' folders. */
const CACHES = { DENO_DIR: "/tmp/hotwheels-no-cache", XDG_CACHE_HOME: "/tmp/hotwheels-no-cache" };

function taskOf(name: "serve" | "bots"): string {
  const { tasks } = JSON.parse(readFileSync(`${PROJECT_ROOT}deno.json`, "utf8")) as {
    tasks: Record<typeof name, string>;
  };
  return tasks[name];
}

/** Deno's arguments in a task, the script last. */
function denoArguments(task: "serve" | "bots"): string[] {
  return / (run .*)$/.exec(taskOf(task))?.[1]?.split(" ") ?? [];
}

/** The same for a server of several workers. */
function argumentsForWorkers(): string[] {
  const needs = / --workers-need=(\S+) /.exec(taskOf("serve"))?.[1]?.split(",") ?? [];
  return denoArguments("serve").toSpliced(1, 0, ...needs.map((need) => `--allow-${need}`));
}

/** The same with one permission less, for each that there is: of a list, each item. */
function withoutEach(words: readonly string[]): { readonly lacks: string; words: string[] }[] {
  return words.flatMap((word, at) => {
    const [, name, list] = /^(--allow-\w+)(?:=(.*))?$/.exec(word) ?? [];
    if (name === undefined) return [];
    return (list?.split(",") ?? [""]).map((item) => {
      const rest = list?.split(",").filter((other) => other !== item) ?? [];
      const less = rest.length === 0 ? [] : [`${name}=${rest.join(",")}`];
      return { lacks: `${name} ${item}`.trim(), words: words.toSpliced(at, 1, ...less) };
    });
  });
}

function start(
  words: readonly string[],
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): CommandProcess {
  const child = spawn(findProgram("deno").path, [...words, ...args], {
    cwd: PROJECT_ROOT,
    env: { ...childEnvironment(), ...FACTS, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  return new CommandProcess(child);
}

/** Runs a server until it has said where it listens, or that it can't. */
async function withServer<T>(
  words: readonly string[],
  args: readonly string[],
  use: (port: number | undefined, server: CommandProcess) => Promise<T> | T,
  environment: Readonly<Record<string, string>> = {},
): Promise<T> {
  const server = start(words, ["--host", "127.0.0.1", "--port", "0", ...args], environment);
  let hasEnded = false;
  server.exited.then(() => hasEnded = true);
  try {
    await until("it listens or ends", () => server.stdout.includes("\n") || hasEnded, 30_000);
    const port = / listening on \S+:(\d+) /.exec(server.stdout)?.[1];
    return await use(port === undefined ? undefined : Number(port), server);
  } finally {
    if (!hasEnded) server.signal("SIGTERM");
    await server.ended;
  }
}

/** The features of the server's task that work, with so many workers. */
function serverAbilities(
  words: readonly string[],
  workers: number,
  environment: Readonly<Record<string, string>> = {},
): Promise<Record<string, boolean>> {
  // A worker's links to the others take descriptors too.
  const most = workers === 1 ? / at most 4936 connections/ : / at most 98\d\d connections/;
  const whole = { ...CACHES, ...environment };
  return withServer(words, ["--workers", String(workers)], (port, { pid, stdout, stderr }) => ({
    listens: port !== undefined,
    "knows its descriptors": most.test(stdout),
    "knows the backlog": stderr.includes("lets a listener have 7 wait"),
    ...workers === 1 || port === undefined ? {} : passedOn(workersOf({ pid })[0]),
  }), whole);
}

/** Which variables that a runtime may need to start were passed on to a child, if there is one. */
function passedOn(child: number | undefined): Record<string, boolean> {
  const passed = child === undefined ? [] : environmentOf(child);
  const needed = { HOME: process.env["HOME"]!, ...CACHES };
  return Object.fromEntries(
    Object.entries(needed).map(([variable, value]) => [
      `passes ${variable} on`,
      passed.includes(`${variable}=${value}`),
    ]),
  );
}

/** The features of the bots' task that work. */
async function botsAbilities(
  words: readonly string[],
  port: number,
  report: string,
): Promise<Record<string, boolean>> {
  const args = ["20", "127.0.0.1", String(port), "--processes", "2", "--json", report];
  const bots = start(words, args, CACHES);
  const passed = passedOn(undefined);
  let hasEnded = false;
  bots.exited.then(() => hasEnded = true);
  while (!hasEnded) {
    for (const [what, works] of Object.entries(passedOn(workersOf(bots)[0]))) {
      passed[what] ||= works;
    }
    await sleep(20);
  }
  const { stdout } = await bots.ended;
  let environment: Record<string, unknown> = {};
  try {
    environment = (JSON.parse(readFileSync(report, "utf8")) as {
      environment: Record<string, unknown>;
    }).environment;
    rmSync(report);
  } catch {
    // There is none.
  }
  return {
    "count all bots": stdout.includes("good: 20, bad: 0"),
    "report to a file": environment["runtime"] === "deno",
    "know the descriptors": environment["descriptor_limit"] === 5000,
    "know the backlog": environment["max_backlog"] === 7,
    "know the CPU": typeof environment["cpu_model"] === "string",
    "know the system": typeof environment["os_release"] === "string",
    ...passed,
  };
}

function lacking(abilities: Readonly<Record<string, boolean>>): string[] {
  return Object.entries(abilities).filter(([, works]) => !works).map(([what]) => what);
}

const INTRUDER = "test/server/fixtures/intruder.ts";
const SOME_PORT = ["--host", "127.0.0.1", "--port", "0"];

/** The server's task with another script in the server's place. */
function taskWith(script: string): string[] {
  return taskOf("serve").replace("server/main.ts", script).split(" ");
}

/** The outcomes of the intruder's attempts in a server's process. */
async function intrusion(
  [program = "", ...args]: readonly string[],
): Promise<Readonly<Record<string, string>>> {
  const child = spawn(program, args, {
    cwd: PROJECT_ROOT,
    env: childEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const command = new CommandProcess(child);
  const said = () => /^intruder: (.*)$/m.exec(command.stdout)?.[1];
  let hasEnded = false;
  command.exited.then(() => hasEnded = true);
  try {
    await until("the intruder has tried", () => said() !== undefined || hasEnded, 30_000);
    return JSON.parse(said() ?? `${command.stdout}${command.stderr}`);
  } finally {
    if (!hasEnded) command.signal("SIGTERM");
    await command.ended;
  }
}

function done(outcomes: Readonly<Record<string, string>>): string[] {
  return Object.entries(outcomes).filter(([, outcome]) => outcome === "done").map(([what]) => what);
}

describe("Deno's permissions", { skip }, () => {
  for (const workers of [1, 2]) {
    it(`for the server are those of its task, and none is too many: ${workers} of it`, {
      timeout,
    }, async () => {
      const words = workers === 1 ? denoArguments("serve") : argumentsForWorkers();
      assertEquals(lacking(await serverAbilities(words, workers)), []);
      const poorer = withoutEach(words);
      assertEquals(poorer.length, workers === 1 ? 2 : 7, words.join(" "));
      for (const { lacks, words } of poorer) {
        const missing = lacking(await serverAbilities(words, workers));
        assert(missing.length > 0, `nothing is missing without ${lacks}`);
      }
    });
  }

  it("for a worker are those that its supervisor gives it, and none is too many", {
    timeout,
  }, async () => {
    const scratch = mkdtempSync(join(tmpdir(), "hotwheels-permissions-"));
    try {
      // A supervisor that may run the first deno on the PATH runs this one.
      const abilities = (lacked: string) => {
        const program = `#!/bin/sh
          for word in "$@"; do
            shift
            case $word in ${lacked}) ;; *) set -- "$@" "$word" ;; esac
          done
          echo "$*" >> "${scratch}/words"
          exec "${findProgram("deno").path}" "$@"`;
        writeFileSync(join(scratch, "deno"), program, { mode: 0o755 });
        const PATH = `${scratch}:${process.env["PATH"]}`;
        return serverAbilities(argumentsForWorkers(), 2, { PATH });
      };
      assertEquals(lacking(await abilities("none")), []);
      const words = readFileSync(join(scratch, "words"), "utf8").split("\n")[0]!.split(" ");
      const permissions = words.filter((word) => word.startsWith("--allow-"));
      assertEquals(permissions.length, 1);
      for (const word of permissions) {
        const missing = lacking(await abilities(word.replace(/=.*/, "=*")));
        assert(missing.includes("listens"), `nothing is missing without ${word}`);
      }
    } finally {
      rmSync(scratch, { recursive: true });
    }
  });

  it("let no code start a process or read a file in a server's only process", {
    timeout,
  }, async () => {
    for (const args of [[], ["--workers", "1"], ["--workers=1"]]) {
      const outcomes = await intrusion([...taskWith(INTRUDER), ...SOME_PORT, ...args]);
      assertEquals(done(outcomes), ["listens"], args.join(" "));
    }
  });

  it("for workers are given up where there are none", { timeout }, async () => {
    const words = argumentsForWorkers().with(-1, INTRUDER);
    const outcomes = await intrusion([findProgram("deno").path, ...words, ...SOME_PORT]);
    assertEquals(done(outcomes), ["listens"]);
  });

  it("let a supervisor start processes, but listen nowhere and touch no file", {
    timeout,
  }, async () => {
    const words = [...taskWith(INTRUDER), ...SOME_PORT, "--workers", "2"];
    const outcomes = await intrusion(words);
    // The launcher may have found this runtime on the PATH; then that's a name of it, too.
    const others = done(outcomes).filter((what) => what !== "runs deno");
    assertEquals(others, ["runs this runtime", "knows the user's home"]);
  });

  it("let no code start a process or read a file in a worker", { timeout }, async () => {
    await withWorkers("deno", 2, async (server) => {
      const [worker] = workersOf(server);
      const { stdout } = spawnSync("ps", ["-ww", "-o", "args=", "-p", String(worker)], {
        encoding: "utf8",
      });
      const words = stdout.trim().split(" ");
      const at = words.findIndex((word) => word.endsWith("server/workers/worker.ts"));
      assert(at > 0, words.join(" "));
      const outcomes = await intrusion([...words.with(at, INTRUDER), "--alone"]);
      assertEquals(done(outcomes), ["listens"]);
    });
  });

  it("for the bots are those of their task, and none is too many", { timeout }, async () => {
    const scratch = mkdtempSync(join(tmpdir(), "hotwheels-permissions-"));
    const report = join(scratch, "report.json");
    try {
      await withServer(denoArguments("serve"), [], async (port = 0) => {
        const file = [`--allow-read=${report}`, `--allow-write=${report}`];
        const words = denoArguments("bots").toSpliced(1, 0, ...file);
        assertEquals(lacking(await botsAbilities(words, port, report)), []);
        for (const { lacks, words: fewer } of withoutEach(words)) {
          const missing = lacking(await botsAbilities(fewer, port, report));
          assert(missing.length > 0, `nothing is missing without ${lacks}`);
        }
      });
    } finally {
      rmSync(scratch, { recursive: true });
    }
  });
});
