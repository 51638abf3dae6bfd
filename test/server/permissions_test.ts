import { assert, assertEquals } from "@std/assert";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { childEnvironment, findProgram, PROJECT_ROOT } from "../../bots/program.ts";
import { CommandProcess } from "../support/command_process.ts";
import { until } from "../support/until.ts";

const timeout = 60_000;

/** Processes share a port on Linux only. */
const skip = process.platform === "linux" ? false : "one process serves here";

/** What the shell tells a command that may not look itself. */
const FACTS = { HOTWHEELS_NOFILE: "5000", HOTWHEELS_FACTS: "somaxconn=7" };

/** What Deno is run with by a task, the script last. */
function denoArguments(task: "serve" | "bots"): string[] {
  const { tasks } = JSON.parse(readFileSync(`${PROJECT_ROOT}deno.json`, "utf8")) as {
    tasks: Record<typeof task, string>;
  };
  return / (run .*)$/.exec(tasks[task])?.[1]?.split(" ") ?? [];
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

function start(words: readonly string[], args: readonly string[]): CommandProcess {
  const child = spawn(findProgram("deno").path, [...words, ...args], {
    cwd: PROJECT_ROOT,
    env: { ...childEnvironment(), ...FACTS },
    stdio: ["ignore", "pipe", "pipe"],
  });
  return new CommandProcess(child);
}

/** Runs a server until it has said where it listens, or that it can't. */
async function withServer<T>(
  words: readonly string[],
  args: readonly string[],
  use: (port: number | undefined, server: CommandProcess) => Promise<T> | T,
): Promise<T> {
  const server = start(words, ["--host", "127.0.0.1", "--port", "0", ...args]);
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

/** What works of all that the server's task is for. */
async function serverAbilities(words: readonly string[]): Promise<Record<string, boolean>> {
  const alone = await withServer(words, [], (port, { stdout, stderr }) => ({
    listens: port !== undefined,
    "knows its descriptors": stdout.includes("at most 4936 connections"),
    "knows the backlog": stderr.includes("lets a listener have 7 wait"),
  }));
  const shared = await withServer(words, ["--workers", "2"], (port) => port !== undefined);
  return { ...alone, "has workers": shared };
}

/** What works of all that the bots' task is for. */
async function botsAbilities(
  words: readonly string[],
  port: number,
  report: string,
): Promise<Record<string, boolean>> {
  const args = ["20", "127.0.0.1", String(port), "--processes", "2", "--json", report];
  const { stdout } = await start(words, args).ended;
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
  };
}

function lacking(abilities: Readonly<Record<string, boolean>>): string[] {
  return Object.entries(abilities).filter(([, works]) => !works).map(([what]) => what);
}

describe("Deno's permissions", { skip }, () => {
  it("for the server are those of its task, and none is too many", { timeout }, async () => {
    const words = denoArguments("serve");
    assertEquals(lacking(await serverAbilities(words)), []);
    const poorer = withoutEach(words);
    assert(poorer.length >= 4, words.join(" "));
    for (const { lacks, words } of poorer) {
      const missing = lacking(await serverAbilities(words));
      assert(missing.length > 0, `nothing is missing without ${lacks}`);
    }
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
