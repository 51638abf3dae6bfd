/**
 * The demonstration: the server on each runtime in turn, the same bots against both.
 *
 * @module
 */

import process from "node:process";
import { counted } from "../runtime/counted.ts";
import { answer, runCommand } from "../runtime/command.ts";
import { CommandLine, wholeNumber } from "../runtime/command_line.ts";
import { runBots } from "./bots_process.ts";
import { findProgram, type Program, RUNTIME_NAMES, type RuntimeName } from "./program.ts";
import type { BotsReport } from "./report.ts";
import { ServerProcess } from "./server_process.ts";

const HELP =
  `Hotwheels demo: starts the server on Deno and on Bun in turn, and runs bots against each.

Usage:
  deno task demo [n]
  bun run bots/demo.ts [n]

  n           how many bots (default 5000)
  -h, --help  print this
  --version   print the version

The bots run on Bun for both servers, since they cost least there. The exit status is 0 when every bot
was good with both.
`;

const DEFAULT_BOTS = 5000;

/** One server process holds no more on a system with a descriptor limit of 20,000. */
const MAX_BOTS = 19_000;

/** Setting up and one message take seconds; who waits longer waits in vain. */
const BOTS_LIMIT_MS = 5 * 60_000;

if (import.meta.main) await runCommand("demo", main);

async function main(args: readonly string[]): Promise<number> {
  const line = new CommandLine(args, []);
  if (line.question !== undefined) return answer(line.question, HELP);
  const [n] = line.upTo(1, "n is all");
  const count = n === undefined ? DEFAULT_BOTS : wholeNumber(n, "n", 1, MAX_BOTS);
  const programs = { deno: findProgram("deno"), bun: findProgram("bun") };
  const reports: BotsReport[] = [];
  for (const runtime of RUNTIME_NAMES) reports.push(await show(runtime, programs, count));
  console.log(comparison(reports));
  return reports.every((report) => report.bad === 0) ? 0 : 1;
}

async function show(
  runtime: RuntimeName,
  programs: Readonly<Record<RuntimeName, Program>>,
  n: number,
): Promise<BotsReport> {
  const program = programs[runtime];
  const flags = ["--host", "127.0.0.1", "--log-level", "warning"];
  const server = await ServerProcess.start(runtime, program, flags);
  // Ctrl-C reaches the server too; a plain SIGTERM doesn't.
  const onSignal = () => {
    server.stop();
    process.exit(130);
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  try {
    console.log(`--- ${runtime} ${program.version}: ${counted(n, "bot")}\n`);
    const { report } = await runBots({
      runtime: "bun",
      program: programs.bun,
      args: [n, "127.0.0.1", server.port],
      limitMs: BOTS_LIMIT_MS,
    });
    return report;
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
    await server.stopped();
  }
}

function comparison(reports: readonly BotsReport[]): string {
  const lines = reports.map((report, at) => {
    const max = report.rounds[0]!.end_to_end_ms?.max;
    const took = max === undefined ? "reached none" : `reached the last after ${max.toFixed(1)} ms`;
    return `${RUNTIME_NAMES[at]} ${took}${report.valid ? "" : " (invalid run)"}`;
  });
  const [deno, bun] = reports.map((report) => report.rounds[0]!.end_to_end_ms?.max);
  const ratio = deno === undefined || bun === undefined
    ? "no comparison"
    : deno < bun
    ? `deno was ${(bun / deno).toFixed(2)} times as fast`
    : `bun was ${(deno / bun).toFixed(2)} times as fast`;
  return `${counted(reports[0]!.n, "bot")}, one message each: ${
    lines.join(", ")
  }: ${ratio}, this once`;
}
