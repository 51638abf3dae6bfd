/**
 * The demonstration: the server on each runtime in turn, the same bots against both.
 *
 * @module
 */

import { answer, runCommand } from "../../cli/command.ts";
import { CommandLine, wholeNumber } from "../../cli/command_line.ts";
import { counted } from "../../cli/counted.ts";
import { readFacts } from "../../host/facts.ts";
import type { ProcessGroup } from "../../cli/process_group.ts";
import { runBots } from "../harness/bots_process.ts";
import { Undertakings } from "../harness/cleanup.ts";
import { endOf } from "./conclusion.ts";
import { type DemoPlan, planDemo } from "./plan.ts";
import { MAX_BOTS } from "../../bots/run/limits.ts";
import { outcomeOf } from "../../bots/results/outcome.ts";
import { findProgram, type Program, type RuntimeName } from "../../cli/program.ts";
import type { BotsReport } from "../../bots/results/report.ts";
import { ServerProcess } from "../harness/server_process.ts";

const HELP = `Hotwheels demo: starts the server on Deno and on Bun in turn, and runs bots
against each.

Usage:
  deno task -q demo [n]
  bun run tools/demo/main.ts [n]

  n           how many bots (default 5000)
  -h, --help  print this
  --version   print the version

Where one process's descriptors don't suffice, the server gets as many workers,
and the bots as many processes and loopback addresses, as n takes; with more
than one address it listens on all, but serves this machine only. The bots run
on Bun for both servers, since they cost least there. A run that is invalid, as
on a busy machine, is made again, twice at most.

The exit status is 0 when every bot was good with both; 1 when one was not, or
when this machine doesn't take n; 2 when the command line is wrong; 3 when a run
stayed invalid, which makes it no measure of the server. Only two good runs are
compared.

Examples:
  deno task -q demo
  deno task -q demo 20000
`;

const DEFAULT_BOTS = 5000;

/** Setting up and one message take seconds; who waits longer waits in vain. */
const BOTS_LIMIT_MS = 5 * 60_000;

/** How often a run is made until it's valid. */
const MAX_RUNS = 3;

if (import.meta.main) await runCommand("demo", main);

async function main(args: readonly string[]): Promise<number> {
  const line = new CommandLine(args, []);
  if (line.question !== undefined) return answer(line.question, HELP);
  const [n] = line.upTo(1, "n is all");
  const count = n === undefined ? DEFAULT_BOTS : wholeNumber(n, "n", 1, MAX_BOTS);
  const undertakings = new Undertakings();
  undertakings.listen(() => {});
  const demo: Demo = {
    n: count,
    plan: planDemo(count, readFacts()),
    programs: { deno: findProgram("deno"), bun: findProgram("bun") },
    undertakings,
  };
  try {
    const reports = { deno: await show("deno", demo), bun: await show("bun", demo) };
    const { text, status } = endOf(reports);
    console.log(text);
    return status;
  } catch (error) {
    if (undertakings.status === null) throw error;
    return undertakings.status;
  } finally {
    await undertakings.endAll();
  }
}

/** What is the same for both servers. */
interface Demo {
  readonly n: number;
  readonly plan: DemoPlan;
  readonly programs: Readonly<Record<RuntimeName, Program>>;
  readonly undertakings: Undertakings;
}

/** Runs bots against a runtime's server until the run is valid, or often enough. */
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

/** Rejects when a signal has come, as soon as what was started has ended. */
async function runOnce(runtime: RuntimeName, demo: Demo): Promise<BotsReport> {
  const { n, plan, programs, undertakings } = demo;
  const onSpawn = (group: ProcessGroup) => undertakings.add(group);
  const program = programs[runtime];
  const server = await ServerProcess.start(runtime, program, plan.flags, [], onSpawn);
  try {
    if (undertakings.status !== null) throw new Error("interrupted");
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
