/**
 * The demonstration: starts the server on each runtime in turn, and runs the same bots against both.
 *
 * @module
 */

import { answer, runCommand } from "../../cli/command.ts";
import { CommandLine, wholeNumber } from "../../cli/command_line.ts";
import { counted } from "../../cli/counted.ts";
import { readFacts } from "../../host/facts.ts";
import type { ProcessGroup } from "../../cli/process_group.ts";
import { runBots } from "../harness/bots_process.ts";
import { Cleanup } from "../harness/cleanup.ts";
import { summarize } from "./summary.ts";
import { type DemoPlan, planDemo } from "./plan.ts";
import { MAX_BOTS } from "../../bots/run/limits.ts";
import { outcomeOf } from "../../bots/results/outcome.ts";
import { findProgram, type Program, type RuntimeName } from "../../cli/program.ts";
import type { BotsReport } from "../../bots/results/report.ts";
import { ServerProcess } from "../harness/server_process.ts";

const HELP = `Hotwheels demo: starts the server on Deno and on Bun in turn, and runs bots
against each.

Usage:
  hotwheels demo [n]
  deno task -q demo [n]
  bun run tools/demo/main.ts [n]

  n           how many bots (default 5000)
  -h, --help  print this
  --version   print the version

If one process has too few descriptors for n, the server gets more workers, and
the bots get more processes and loopback addresses. With more than one address
the server listens on all, but serves this machine only. The bots run on Bun for
both servers, since they cost least there. A run that is invalid, as on a busy
machine, is repeated, twice at most.

The exit status is 0 when every bot was good with both; 1 when one was not, or
when this machine doesn't take n; 2 when the command line is wrong; 3 when a run
stayed invalid, which makes it no measure of the server. Only two good runs are
compared.

Examples:
  deno task -q demo
  deno task -q demo 20000
`;

const DEFAULT_BOTS = 5000;

/**
 * Milliseconds for one run. Connecting and one message take seconds; a run that takes longer never ends.
 */
const BOTS_LIMIT_MS = 5 * 60_000;

/** The most attempts to get a valid run. */
const MAX_RUNS = 3;

if (import.meta.main) await runCommand("demo", main);

async function main(args: readonly string[]): Promise<number> {
  const line = new CommandLine(args, []);
  if (line.question !== undefined) return answer(line.question, HELP);
  const [n] = line.upTo(1, "n is all");
  const count = n === undefined ? DEFAULT_BOTS : wholeNumber(n, "n", 1, MAX_BOTS);
  const cleanup = new Cleanup();
  cleanup.listen(() => {});
  const demo: Demo = {
    n: count,
    plan: planDemo(count, readFacts()),
    programs: { deno: findProgram("deno"), bun: findProgram("bun") },
    cleanup,
  };
  try {
    const reports = { deno: await show("deno", demo), bun: await show("bun", demo) };
    const { text, status } = summarize(reports);
    console.log(text);
    return status;
  } catch (error) {
    if (cleanup.status === null) throw error;
    return cleanup.status;
  } finally {
    await cleanup.endAll();
  }
}

/** The values that are the same for both servers. */
interface Demo {
  readonly n: number;
  readonly plan: DemoPlan;
  readonly programs: Readonly<Record<RuntimeName, Program>>;
  readonly cleanup: Cleanup;
}

/** Runs bots against a runtime's server until the run is valid, at most `MAX_RUNS` times. */
async function show(runtime: RuntimeName, demo: Demo): Promise<BotsReport> {
  const { n, plan, programs } = demo;
  const workers = plan.workers === 1 ? "" : `, ${plan.workers} workers`;
  console.log(`--- ${runtime} ${programs[runtime].version}${workers}: ${counted(n, "bot")}\n`);
  for (let runs = 1;; runs++) {
    const report = await runOnce(runtime, demo);
    if (outcomeOf(report) !== "invalid" || runs === MAX_RUNS) return report;
    console.log(`--- the run is invalid; once more, ${runs + 1} of ${MAX_RUNS}\n`);
  }
}

/** Runs bots once. Rejects after a signal, as soon as the processes have ended. */
async function runOnce(runtime: RuntimeName, demo: Demo): Promise<BotsReport> {
  const { n, plan, programs, cleanup } = demo;
  const onSpawn = (group: ProcessGroup) => cleanup.add(group);
  const program = programs[runtime];
  const server = await ServerProcess.start(runtime, program, plan.flags, [], onSpawn);
  try {
    if (cleanup.status !== null) throw new Error("interrupted");
    return await runBots({
      runtime: "bun",
      program: programs.bun,
      args: [n, "127.0.0.1", server.port],
      limitMs: BOTS_LIMIT_MS,
      onSpawn,
    });
  } finally {
    await server.stopped();
  }
}
