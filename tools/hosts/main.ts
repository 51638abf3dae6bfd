/**
 * Runs servers and bots on one machine as if on several; see `--help`.
 *
 * @module
 */

import process from "node:process";
import manifest from "../../package.json" with { type: "json" };
import { EXIT_STATUS, type Outcome, worstOf } from "../../bots/results/outcome.ts";
import { counted } from "../../cli/counted.ts";
import { answer, runCommand } from "../../cli/command.ts";
import { EnvironmentError } from "../../cli/command_line.ts";
import { wrapped } from "../../cli/plain_text.ts";
import { ProcessGroup } from "../../cli/process_group.ts";
import {
  childEnvironment,
  DENO_TASK,
  findProgram,
  PROJECT_ROOT,
  RUNTIME_NAMES,
} from "../../cli/program.ts";
import { checkReportFile, writeReportFile } from "../../cli/report_file.ts";
import { checkServerCapacity } from "../../host/descriptor_checks.ts";
import { readLimits } from "../../host/facts.ts";
import { findingLine } from "../../host/finding.ts";
import { checkFolder, reportFolder } from "../compare/write_reports.ts";
import { Cleanup } from "../harness/cleanup.ts";
import { findNats } from "../harness/nats_process.ts";
import type { ServerProcess } from "../harness/server_process.ts";
import { playBounty, startServer } from "./bounty.ts";
import { HostsNetwork } from "./network.ts";
import { comparisonOf, HELP, type HostsOptions, parseHosts } from "./options.ts";
import { allOf, type Hosts, onHost } from "./plan.ts";
import { type HostsReport, judge, type RunReport, runText, SCHEMA } from "./report.ts";

/** Milliseconds for a whole comparison: with a sweep it has some hundred runs. */
const COMPARE_LIMIT_MS = 6 * 3_600_000;

if (import.meta.main) await runCommand("hosts", main);

async function main(args: readonly string[]): Promise<number> {
  const command = parseHosts(args);
  if (command.does !== "run") return answer(command, HELP);
  const { options } = command;
  checkDescriptors(options);
  checkReportFile(options.json, "--json");
  if (options.compares) {
    const comparison = comparisonOf(options.n, options.compareArguments);
    checkFolder(reportFolder(comparison.out), comparison);
  }
  if (options.machines > 1) findNats();
  const cleanup = new Cleanup();
  let isComparing = false;
  // Listen before the network exists, so that a signal removes it when this process exits.
  cleanup.listen(() => {
    if (!isComparing) process.exit(cleanup.status!);
    console.error("hosts: waiting for the comparison's report; a second signal ends at once");
  });
  const say = options.json === "-" ? console.error : console.log;
  const startedAt = new Date();
  const network = HostsNetwork.create(options, options.link);
  const { hosts } = network;
  say(introduction(hosts, options));
  const runs: RunReport[] = [];
  for (const runtime of options.servers) {
    say(`\n--- ${runtime}: ${sizeText(options)}\n`);
    runs.push(judge(runtime, await playBounty(runtime, { hosts, options, say }), options));
  }
  const verdicts = runs.map((run) => `${run.runtime}: ${runText(run)}`);
  say(verdicts.flatMap((verdict) => wrapped(verdict, "", "  ")).join("\n"));
  if (options.json !== null) write(reportOf(startedAt, hosts, options, runs), options.json);
  const outcomes: Outcome[] = runs.map(({ outcome }) => outcome);
  isComparing = options.compares;
  if (isComparing && !await compare(hosts, options, cleanup, say)) outcomes.push("failed");
  network.remove();
  return cleanup.status ?? EXIT_STATUS[worstOf(outcomes)];
}

/**
 * Checks the servers' descriptors, since a server doesn't know how many bots will come. The bots check
 * their own.
 */
function checkDescriptors({ n, workers }: HostsOptions): void {
  const finding = checkServerCapacity({ n, processes: workers }, readLimits());
  if (finding.isFatal) throw new EnvironmentError(findingLine(finding, "Linux"));
}

function reportOf(
  startedAt: Date,
  hosts: Hosts,
  { machines, workers, n, link }: HostsOptions,
  runs: RunReport[],
): HostsReport {
  return {
    schema: SCHEMA,
    started_at: startedAt.toISOString(),
    hotwheels_version: manifest.version,
    machines,
    workers,
    bots_per_machine: n,
    wire: { delay_ms: link.delayMs, bits_per_second: link.bitsPerSecond },
    cores: Object.fromEntries(
      allOf(hosts).map(({ name, cores }) => [name.split("-").at(-1)!, [...cores]]),
    ),
    runs,
  };
}

function write(report: HostsReport, path: string): void {
  const text = JSON.stringify(report, null, 2);
  if (path === "-") console.log(text);
  else writeReportFile(path, text + "\n", "--json");
}

/**
 * Runs the comparison against both servers at once, on the same core: the one that isn't measured is
 * idle.
 */
async function compare(
  hosts: Hosts,
  options: HostsOptions,
  cleanup: Cleanup,
  say: (text: string) => void,
): Promise<boolean> {
  say("\n--- compare\n");
  const { n, botsRuntime, compareArguments } = options;
  const [machine] = hosts.machines;
  const servers: ServerProcess[] = [];
  try {
    const targets = [];
    for (const runtime of RUNTIME_NAMES) {
      const server = await startServer(runtime, machine, options);
      servers.push(server);
      targets.push("--target", `${runtime}=${machine.server.address}:${server.port}`);
    }
    const program = findProgram(botsRuntime).path;
    const command = botsRuntime === "deno"
      ? [...DENO_TASK, "compare"]
      : ["run", "tools/compare/main.ts"];
    const flags = [String(n), ...targets, ...compareArguments];
    return await succeeds([...onHost(machine.bots), program, ...command, ...flags], cleanup);
  } finally {
    for (const server of servers) await server.stopped();
  }
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

function introduction(hosts: Hosts, { link, machines, workers }: HostsOptions): string {
  const [{ server, bots }] = hosts.machines;
  const { delayMs, bitsPerSecond } = link;
  const wire = [
    ...(delayMs === null ? [] : [`${delayMs} ms each way`]),
    ...(bitsPerSecond === null ? [] : [`${bitsPerSecond / 1e6} Mbit/s`]),
  ];
  const speed = wire.length === 0 ? "as fast as it goes" : wire.join(", ");
  if (machines === 1) {
    return `server at ${server.address}, bots at ${bots.address}, ${coresText(hosts)}, the wire ` +
      `between them: ${speed}`;
  }
  return `${machines} machines of ${counted(workers, "worker")} and their bots, joined by NATS, ` +
    `${coresText(hosts)}, each wire: ${speed}`;
}

function coresText(hosts: Hosts): string {
  const [{ server, bots }] = hosts.machines;
  const all = allOf(hosts);
  const several = hosts.nats !== null || server.cores.length + bots.cores.length > 2;
  if (new Set(all.flatMap(({ cores }) => cores)).size === 1) {
    return `${several ? "all" : "both"} on core ${server.cores[0]}, the only one there is`;
  }
  if (!several) return `each on a core of its own (${server.cores[0]}, ${bots.cores[0]})`;
  const listed = all.map(({ name, cores }) => `${name.split("-").at(-1)} ${cores.join("+")}`);
  return `on cores: ${listed.join(", ")}`;
}

function sizeText({ n, machines }: HostsOptions): string {
  return machines === 1 ? counted(n, "bot") : `${machines} x ${counted(n, "bot")}`;
}
