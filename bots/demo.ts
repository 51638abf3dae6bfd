/**
 * The demonstration: the server on each runtime in turn, the same bots against both.
 *
 * @module
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { runCommand } from "../runtime/command.ts";
import {
  CommandLine,
  EnvironmentError,
  quote,
  UsageError,
  wholeNumber,
} from "../runtime/command_line.ts";
import type { BotsReport } from "./report.ts";

const HELP =
  `Hotwheels demo: starts the server on Deno and on Bun in turn, and runs bots against each.

Usage:
  deno task demo [n]
  bun run bots/demo.ts [n]

  n       how many bots (default 5000)
  --help  print this

The bots run on Bun for both servers, since they cost least there. The exit status is 0 when every bot
was good with both.
`;

const DEFAULT_BOTS = 5000;

/** One server process holds no more on a system with a descriptor limit of 20,000. */
const MAX_BOTS = 19_000;

/** How long a server may take to start. */
const START_PATIENCE_MS = 20_000;

const RUNTIMES = ["deno", "bun"] as const;
type RuntimeName = typeof RUNTIMES[number];

const root = fileURLToPath(import.meta.resolve("../"));

/** What children get: enough to find the runtimes and their caches. */
const env = { PATH: process.env["PATH"], HOME: process.env["HOME"] };

if (import.meta.main) await runCommand("demo", main);

async function main(args: readonly string[]): Promise<number> {
  const line = new CommandLine(args, [], ["help"]);
  if (line.has("help")) {
    console.log(HELP.trimEnd());
    return 0;
  }
  const [n, extra] = line.positionals;
  if (extra !== undefined) throw new UsageError(`${quote(extra)} is one argument too many`);
  const count = n === undefined ? DEFAULT_BOTS : wholeNumber(n, "n", 1, MAX_BOTS);
  const programs = { deno: findProgram("deno"), bun: findProgram("bun") };
  const reports: BotsReport[] = [];
  for (const runtime of RUNTIMES) reports.push(await show(runtime, programs, count));
  console.log(comparison(reports));
  return reports.every((report) => report.bad === 0) ? 0 : 1;
}

/** The program of a runtime and its version; the project's own comes before the system's. */
interface Program {
  readonly path: string;
  readonly version: string;
}

function findProgram(name: RuntimeName): Program {
  for (const path of [`${root}node_modules/.bin/${name}`, name]) {
    const { status, stdout } = spawnSync(path, ["--version"], { env, encoding: "utf8" });
    const version = /\d+\.\d+\.\d+/.exec(stdout ?? "")?.[0];
    if (status === 0 && version !== undefined) return { path, version };
  }
  throw new EnvironmentError(
    `${name} is neither in node_modules nor on the PATH; \`npm ci\` installs it`,
  );
}

async function show(
  runtime: RuntimeName,
  programs: Readonly<Record<RuntimeName, Program>>,
  n: number,
): Promise<BotsReport> {
  const { path, version } = programs[runtime];
  const flags = ["--host", "127.0.0.1", "--port", "0", "--log-level", "warning"];
  const start = runtime === "deno" ? ["task", "-q", "serve"] : ["run", "server/main.ts"];
  const server = spawn(path, [...start, ...flags], {
    cwd: root,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const stop = () => {
    if (server.exitCode === null && server.pid !== undefined) process.kill(server.pid, "SIGTERM");
  };
  // Ctrl-C reaches the server too; a plain SIGTERM doesn't.
  const onSignal = () => {
    stop();
    process.exit(130);
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  try {
    const port = await portOf(server, runtime);
    console.log(`--- ${runtime} ${version}: ${n} bots\n`);
    return await runBots(programs.bun, n, port);
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
    const ended = new Promise((resolve) => server.once("exit", resolve));
    if (server.exitCode === null) {
      stop();
      await ended;
    }
  }
}

/** Waits until the server says where it listens. */
function portOf(server: ChildProcess, runtime: RuntimeName): Promise<number> {
  return new Promise((resolve, reject) => {
    const fail = (how: string) =>
      reject(new EnvironmentError(`the server on ${runtime} did not start: ${how}`));
    const timer = setTimeout(
      () => fail(`no word within ${START_PATIENCE_MS / 1000} s`),
      START_PATIENCE_MS,
    );
    let said = "";
    server.stdout!.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      const match = /listening on (\S+):(\d+)/.exec(said);
      if (match === null) return;
      clearTimeout(timer);
      resolve(Number(match[2]));
    });
    server.once("error", (error) => fail(error.message));
    server.once("exit", (status, signal) => {
      clearTimeout(timer);
      fail(`it ended with ${status ?? signal}`);
    });
  });
}

/** Runs the bots' command; its text goes to our standard output. */
function runBots({ path }: Program, n: number, port: number): Promise<BotsReport> {
  const args = ["run", "bots/main.ts", String(n), "127.0.0.1", String(port), "--json", "-"];
  const bots = spawn(path, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
  return new Promise((resolve, reject) => {
    let json = "";
    let text = "";
    bots.stdout!.setEncoding("utf8").on("data", (part: string) => json += part);
    bots.stderr!.setEncoding("utf8").on("data", (part: string) => text += part);
    bots.once("error", reject);
    bots.once("close", () => {
      console.log(text);
      try {
        resolve(JSON.parse(json) as BotsReport);
      } catch {
        reject(new EnvironmentError("the bots gave no report; see above for why"));
      }
    });
  });
}

function comparison(reports: readonly BotsReport[]): string {
  const lines = reports.map((report, at) => {
    const max = report.rounds[0]!.end_to_end_ms?.max;
    const took = max === undefined ? "reached none" : `reached the last after ${max.toFixed(1)} ms`;
    return `${RUNTIMES[at]} ${took}${report.valid ? "" : " (invalid run)"}`;
  });
  const [deno, bun] = reports.map((report) => report.rounds[0]!.end_to_end_ms?.max);
  const ratio = deno === undefined || bun === undefined
    ? "no comparison"
    : deno < bun
    ? `deno was ${(bun / deno).toFixed(2)} times as fast`
    : `bun was ${(deno / bun).toFixed(2)} times as fast`;
  return `${reports[0]!.n} bots, one message each: ${lines.join(", ")}: ${ratio}, this once`;
}
