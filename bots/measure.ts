/**
 * A whole run, from its options to its report.
 *
 * @module
 */

import manifest from "../package.json" with { type: "json" };
import { EnvironmentError } from "../cli/command_line.ts";
import type { Runtime } from "../runtime/types.ts";
import { buildReport } from "./results/build_report.ts";
import { Fleet } from "./fleet/fleet.ts";
import type { Dialect } from "./dialects/dialect.ts";
import { createDialect } from "./dialects/dialects.ts";
import type { RampUpProgress } from "./fleet/ramp_up.ts";
import type { BotsOptions } from "./run/options.ts";
import { withoutKeys } from "./client/keys.ts";
import { chooseProcesses, type Finding, preflight } from "./run/preflight.ts";
import type { Progress } from "./run/progress.ts";
import type { BotsReport, EnvironmentReport } from "./results/report.ts";
import { run, type RunRecord } from "./run/run.ts";
import { readFacts, type SystemFacts } from "../host/facts.ts";
import { StallWatch } from "./fleet/stall_watch.ts";
import { type BotsTarget, findTarget } from "./run/target.ts";

/** The callbacks by which a run reports its progress. */
export interface Observer {
  /** This machine has too little of something. If a finding is fatal, the run ends with it. */
  onFindings(findings: readonly Finding[]): void;
  /** Connecting is about to start. `end` ends all processes of bots at once. */
  onStart(end: () => void): Promise<Progress> | Progress;
  /** Bots that try for ever make no progress. `text` is one line for people. */
  onStall?(text: string): void;
  /** All bots are subscribed, and nothing is published yet. The run goes on when the promise resolves. */
  onSubscribed?(): Promise<void>;
  /** The raw record of the run, before it is judged. */
  onRecord?(record: RunRecord): void;
}

/**
 * Measures a server.
 *
 * @param args The command line, for the report.
 * @throws {EnvironmentError} (rejects) when the run can't take place.
 */
export function measure(
  runtime: Runtime,
  options: BotsOptions,
  args: readonly string[],
  observer: Observer,
): Promise<BotsReport> {
  return withFleet(runtime, options, args, observer, async (ready) => {
    const { fleet, dialect, target, progress, onProgress, startedAt, environment } = ready;
    const record = await run({
      runtime,
      dialect,
      fleet,
      target,
      options,
      onProgress,
      onSetUp: () => progress.stop(),
      onSubscribed: async () => await observer.onSubscribed?.(),
    });
    observer.onRecord?.(record);
    return buildReport(record, {
      options,
      startedAt,
      addresses: target.addresses,
      dialect,
      processes: fleet.processes,
      environment,
    });
  });
}

/** The way in which bots come back. */
export interface Returning {
  /** True if they come back with their positions. */
  readonly resumes: boolean;
}

/** All that a run needs before its first bot connects. */
export interface Ready {
  readonly startedAt: Date;
  readonly target: BotsTarget;
  readonly dialect: Dialect;
  readonly fleet: Fleet;
  readonly progress: Progress;
  /** Receives the bots' progress. */
  readonly onProgress: (progress: RampUpProgress) => void;
  readonly environment: EnvironmentReport;
}

/**
 * Finds the server, checks this machine and starts the processes. Ends them when `body` is done.
 *
 * @param args The command line, for the report.
 * @throws {EnvironmentError} (rejects) when the bots can't be started. Errors of `body` pass through.
 */
export async function withFleet<T>(
  runtime: Runtime,
  options: BotsOptions,
  args: readonly string[],
  observer: Observer,
  body: (ready: Ready) => Promise<T>,
  { resumes }: Returning = { resumes: false },
): Promise<T> {
  const startedAt = new Date();
  const facts = readFacts();
  const target = await findTarget(runtime, options, facts.portRange);
  const { addresses, isLoopback } = target;
  const { n, topic, data, port, tls, keys, retries, dialect: dialectName } = options;
  const processes = options.processes === "auto"
    ? chooseProcesses(n, isLoopback, runtime.name, facts)
    : Math.min(options.processes, n);
  const findings = preflight({ n, processes, addresses: addresses.length, isLoopback }, facts);
  observer.onFindings(findings);
  if (findings.some(({ isFatal }) => isFatal)) {
    throw new EnvironmentError("not started; the lines above say what to change");
  }
  const dialect = createDialect(dialectName, { topic, data }, keys, resumes);
  const resumption = resumes ? { topic, data, rounds: options.rounds } : null;
  const fleet = await Fleet.start(
    runtime,
    {
      ...{ n, processes, addresses, port, tls, keys, retries, topic, data, resumption },
      dialect: dialectName,
    },
  );
  try {
    const progress = await observer.onStart(() => fleet.abandon());
    const environment = environmentReport(runtime, facts, args);
    const stall = retries === "forever"
      ? new StallWatch(n, (text) => observer.onStall?.(text))
      : null;
    const onProgress = (reached: RampUpProgress) => {
      progress.update(reached.subscribed);
      stall?.look(reached);
    };
    return await body({ startedAt, target, dialect, fleet, progress, onProgress, environment });
  } finally {
    fleet.abandon();
  }
}

function environmentReport(
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
    arguments: withoutKeys(args),
  };
}
