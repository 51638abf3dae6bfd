/**
 * Runs server and bots on one machine as if on two; see `--help`.
 *
 * @module
 */

import process from "node:process";
import { counted } from "../../cli/counted.ts";
import { answer, runCommand } from "../../cli/command.ts";
import { EnvironmentError } from "../../cli/command_line.ts";
import { ProcessGroup } from "../../cli/process_group.ts";
import { checkServerCapacity } from "../../host/descriptor_checks.ts";
import { readLimits } from "../../host/facts.ts";
import { findingLine } from "../../host/finding.ts";
import { runBots } from "../harness/bots_process.ts";
import { EXIT_STATUS, type Outcome, outcomeOf, worstOf } from "../../bots/results/outcome.ts";
import { wrapped } from "../../cli/plain_text.ts";
import { Cleanup } from "../harness/cleanup.ts";
import { checkFolder, reportFolder } from "../compare/write_reports.ts";
import {
  childEnvironment,
  DENO_TASK,
  findProgram,
  PROJECT_ROOT,
  type RuntimeName,
} from "../../cli/program.ts";
import { verdictAndReason } from "../../bots/results/report_text.ts";
import { ServerProcess } from "../harness/server_process.ts";
import { TwoHostsNetwork } from "./network.ts";
import { comparisonOf, HELP, parseTwoHosts, type TwoHostsOptions } from "./options.ts";
import { type Hosts, onHost } from "./plan.ts";

/** Milliseconds for one run of bots, far more than any takes, even with many rounds. */
const BOTS_LIMIT_MS = 30 * 60_000;

/** Milliseconds for a whole comparison: with a sweep it has some hundred runs. */
const COMPARE_LIMIT_MS = 6 * 3_600_000;

if (import.meta.main) await runCommand("two-hosts", main);

async function main(args: readonly string[]): Promise<number> {
  const command = parseTwoHosts(args);
  if (command.does !== "run") return answer(command, HELP);
  const { options } = command;
  checkDescriptors(options.n);
  if (options.compares) {
    const comparison = comparisonOf(options.n, options.compareArguments);
    checkFolder(reportFolder(comparison.out), comparison);
  }
  const cleanup = new Cleanup();
  let isComparing = false;
  // Listen before the network exists, so that a signal removes it when this process exits.
  cleanup.listen(() => {
    if (!isComparing) process.exit(cleanup.status!);
    console.error("two-hosts: waiting for the comparison's report; a second signal ends at once");
  });
  const network = TwoHostsNetwork.create(options.link);
  const { hosts } = network;
  console.log(introduction(hosts, options));
  const verdicts: string[] = [];
  const outcomes: Outcome[] = [];
  for (const runtime of options.servers) {
    const { verdict, outcome } = await playBounty(hosts, runtime, options);
    verdicts.push(verdict);
    outcomes.push(outcome);
  }
  console.log(verdicts.flatMap((verdict) => wrapped(verdict, "", "  ")).join("\n"));
  isComparing = options.compares;
  if (isComparing && !await compare(hosts, options, cleanup)) outcomes.push("failed");
  network.remove();
  return cleanup.status ?? EXIT_STATUS[worstOf(outcomes)];
}

/**
 * Checks the server's descriptors, since the server doesn't know how many bots will come. The bots check
 * their own.
 */
function checkDescriptors(n: number): void {
  const finding = checkServerCapacity({ n, processes: 1 }, readLimits());
  if (finding.isFatal) throw new EnvironmentError(findingLine(finding, "Linux"));
}

async function playBounty(hosts: Hosts, runtime: RuntimeName, options: TwoHostsOptions) {
  const { n, rounds, sloMs, botsRuntime } = options;
  console.log(`\n--- ${runtime}: ${counted(n, "bot")}\n`);
  const server = await startServer(hosts, runtime);
  try {
    const report = await runBots({
      runtime: botsRuntime,
      program: findProgram(botsRuntime),
      prefix: onHost(hosts.bots),
      args: [n, hosts.server.address, server.port, "--rounds", rounds, "--slo", `${sloMs}ms`],
      limitMs: BOTS_LIMIT_MS,
    });
    return { verdict: `${runtime}: ${verdictAndReason(report)}`, outcome: outcomeOf(report) };
  } finally {
    await server.stopped();
  }
}

/**
 * Runs the comparison against both servers at once, on the same core: the one that isn't measured is
 * idle.
 */
async function compare(
  hosts: Hosts,
  { n, botsRuntime, compareArguments }: TwoHostsOptions,
  cleanup: Cleanup,
): Promise<boolean> {
  console.log("\n--- compare\n");
  const servers = [];
  try {
    const targets = [];
    for (const runtime of ["deno", "bun"] as const) {
      const server = await startServer(hosts, runtime);
      servers.push(server);
      targets.push("--target", `${runtime}=${hosts.server.address}:${server.port}`);
    }
    const program = findProgram(botsRuntime).path;
    const command = botsRuntime === "deno"
      ? [...DENO_TASK, "compare"]
      : ["run", "tools/compare/main.ts"];
    const flags = [String(n), ...targets, ...compareArguments];
    return await succeeds([...onHost(hosts.bots), program, ...command, ...flags], cleanup);
  } finally {
    for (const server of servers) await server.stopped();
  }
}

function startServer({ server }: Hosts, runtime: RuntimeName): Promise<ServerProcess> {
  const flags = ["--host", server.address, "--log-level", "warning"];
  return ServerProcess.start(runtime, findProgram(runtime), flags, onHost(server));
}

/**
 * Runs a command to its end, in a process group of its own: a signal is passed on to it once, and then
 * waits for it.
 */
async function succeeds(command: readonly string[], cleanup: Cleanup): Promise<boolean> {
  const group = ProcessGroup.spawn(command, {
    cwd: PROJECT_ROOT,
    env: childEnvironment(),
    stdio: ["ignore", "inherit", "inherit"],
  });
  cleanup.add(group);
  const timer = setTimeout(() => group.signal("SIGTERM"), COMPARE_LIMIT_MS);
  try {
    return await new Promise((resolve, reject) => {
      group.child.once("error", reject);
      group.child.once("exit", (status) => resolve(status === 0));
    });
  } finally {
    clearTimeout(timer);
  }
}

function introduction({ server, bots }: Hosts, { link }: TwoHostsOptions): string {
  const { delayMs, bitsPerSecond } = link;
  const wire = [
    ...(delayMs === null ? [] : [`${delayMs} ms each way`]),
    ...(bitsPerSecond === null ? [] : [`${bitsPerSecond / 1e6} Mbit/s`]),
  ];
  const cores = server.core === bots.core
    ? `both on core ${server.core}, the only one there is`
    : `each on a core of its own (${server.core}, ${bots.core})`;
  return `server at ${server.address}, bots at ${bots.address}, ${cores}, ` +
    `the wire between them: ${wire.length === 0 ? "as fast as it goes" : wire.join(", ")}`;
}
