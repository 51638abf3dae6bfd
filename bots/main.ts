/**
 * The bots' command; see `--help`.
 *
 * @module
 */

import { writeFileSync } from "node:fs";
import process from "node:process";
import manifest from "../package.json" with { type: "json" };
import { runCommand } from "../runtime/command.ts";
import { EnvironmentError } from "../runtime/command_line.ts";
import { detectRuntime } from "../runtime/detect.ts";
import type { Runtime } from "../runtime/types.ts";
import { buildReport } from "./build_report.ts";
import { Crew } from "./crew.ts";
import { JanusDialect } from "./janus_dialect.ts";
import { type BotsOptions, HELP, parseCommand } from "./options.ts";
import { chooseProcesses, findingText, preflight } from "./preflight.ts";
import { startProgress } from "./progress.ts";
import type { BotsReport, EnvironmentReport } from "./report.ts";
import { reportText } from "./report_text.ts";
import { run } from "./run.ts";
import { readSystemFacts, type SystemFacts } from "./system_facts.ts";
import { findTarget } from "./target.ts";

if (import.meta.main) await runCommand("bots", main);

async function main(args: readonly string[]): Promise<number> {
  const command = parseCommand(args);
  switch (command.does) {
    case "help":
      console.log(HELP.trimEnd());
      return 0;
    case "version":
      console.log(manifest.version);
      return 0;
    case "run": {
      const report = await measure(command.options, args);
      deliver(report, command.options.json);
      return report.bad === 0 && report.slo?.held !== false ? 0 : 1;
    }
  }
}

async function measure(options: BotsOptions, args: readonly string[]): Promise<BotsReport> {
  const startedAt = new Date();
  const runtime = await detectRuntime();
  const facts = readSystemFacts();
  const target = await findTarget(runtime, options, facts.portRange);
  const processes = options.processes === "auto"
    ? chooseProcesses(options.n, target.isLoopback, runtime.name, facts)
    : Math.min(options.processes, options.n);
  const { n } = options;
  const { isLoopback } = target;
  const findings = preflight(
    { n, processes, addresses: target.addresses.length, isLoopback },
    facts,
  );
  for (const finding of findings) console.error(findingText(finding));
  const fatal = findings.filter(({ isFatal }) => isFatal).length;
  if (fatal > 0) throw new EnvironmentError("not started; see above for what mends it");

  const { topic, data, port } = options;
  const dialect = new JanusDialect({ topic, data });
  const crew = await Crew.muster(runtime, {
    n,
    processes,
    addresses: target.addresses,
    port,
    topic,
    data,
  });
  const progress = await startProgress(n);
  endOnSignal(() => {
    progress.stop();
    crew.dismiss();
  });
  try {
    const record = await run({
      runtime,
      dialect,
      crew,
      target,
      options,
      onProgress: ({ subscribed }) => progress.update(subscribed),
      onSetUp: () => progress.stop(),
    });
    return buildReport(record, {
      options,
      startedAt,
      addresses: target.addresses,
      dialect: dialect.name,
      processes: crew.processes,
      environment: environment(runtime, facts, args),
    });
  } finally {
    crew.dismiss();
  }
}

/** Ctrl-C ends all processes, with the status that a shell expects. */
function endOnSignal(end: () => void): void {
  for (const [signal, number] of [["SIGINT", 2], ["SIGTERM", 15]] as const) {
    process.on(signal, () => {
      end();
      process.exit(128 + number);
    });
  }
}

function environment(
  runtime: Runtime,
  facts: SystemFacts,
  args: readonly string[],
): EnvironmentReport {
  return {
    runtime: runtime.name,
    runtime_version: runtime.version,
    hotwheels_version: manifest.version,
    os: facts.os,
    os_release: facts.osRelease,
    architecture: facts.architecture,
    cpu_model: facts.cpuModel,
    cores: facts.cores,
    descriptor_limit: facts.descriptorLimit,
    port_range: facts.portRange === null ? null : { ...facts.portRange },
    max_backlog: facts.maxBacklog,
    arguments: [...args],
  };
}

function deliver(report: BotsReport, json: string | null): void {
  if (json === "-") {
    console.error(reportText(report));
    console.log(JSON.stringify(report, null, 2));
    return;
  }
  console.log(reportText(report));
  if (json === null) return;
  try {
    writeFileSync(json, JSON.stringify(report, null, 2) + "\n");
  } catch (cause) {
    throw new EnvironmentError(`can't write the report: ${(cause as Error).message}`, { cause });
  }
}
