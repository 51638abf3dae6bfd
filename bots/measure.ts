/**
 * A run from its options to its report.
 *
 * @module
 */

import manifest from "../package.json" with { type: "json" };
import { EnvironmentError } from "../cli/command_line.ts";
import type { Runtime } from "../runtime/types.ts";
import { buildReport } from "./results/build_report.ts";
import { Crew } from "./fleet/fleet.ts";
import type { Dialect } from "./dialects/dialect.ts";
import { createDialect } from "./dialects/dialects.ts";
import type { EnlistmentProgress } from "./fleet/ramp_up.ts";
import type { BotsOptions } from "./run/options.ts";
import { withoutKeys } from "./client/keys.ts";
import { chooseProcesses, type Finding, preflight } from "./run/preflight.ts";
import type { Progress } from "./run/progress.ts";
import type { BotsReport, EnvironmentReport } from "./results/report.ts";
import { run, type RunRecord } from "./run/run.ts";
import { readFacts, type SystemFacts } from "../host/facts.ts";
import { StallWatch } from "./fleet/stall_watch.ts";
import { findTarget, type Target } from "./run/target.ts";

/** Whom a run keeps informed. */
export interface Observer {
  /** Something about this machine doesn't fit. Where one is fatal, the run ends with it. */
  onFindings(findings: readonly Finding[]): void;
  /** Setting up is about to start. `end` ends all processes of bots at once. */
  onStart(end: () => void): Promise<Progress> | Progress;
  /** Bots that try for ever don't get on; `text` is one line for people. */
  onStall?(text: string): void;
  /** Everyone is subscribed, and nothing is published yet; the run goes on when it resolves. */
  onSubscribed?(): Promise<void>;
  /** All that happened, before it is judged. */
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
  return withCrew(runtime, options, args, observer, async (ready) => {
    const { crew, dialect, target, progress, onProgress, startedAt, environment } = ready;
    const record = await run({
      runtime,
      dialect,
      crew,
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
      processes: crew.processes,
      environment,
    });
  });
}

/** Everything that is to be had before the first bot connects. */
export interface Ready {
  readonly startedAt: Date;
  readonly target: Target;
  readonly dialect: Dialect;
  readonly crew: Crew;
  readonly progress: Progress;
  /** Gets to know how far the bots have come. */
  readonly onProgress: (progress: EnlistmentProgress) => void;
  readonly environment: EnvironmentReport;
}

/**
 * Finds the server, looks at this machine, and gets the processes; lets them go in the end.
 *
 * @param args The command line, for the report.
 * @throws {EnvironmentError} (rejects) when there can be no bots. What `body` throws passes through.
 */
export async function withCrew<T>(
  runtime: Runtime,
  options: BotsOptions,
  args: readonly string[],
  observer: Observer,
  body: (ready: Ready) => Promise<T>,
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
    throw new EnvironmentError("not started; see above for what mends it");
  }
  const dialect = createDialect(dialectName, { topic, data }, keys);
  const crew = await Crew.muster(
    runtime,
    { n, processes, addresses, port, tls, keys, retries, dialect: dialectName, topic, data },
  );
  try {
    const progress = await observer.onStart(() => crew.dismiss());
    const environment = environmentReport(runtime, facts, args);
    const stall = retries === "forever"
      ? new StallWatch(n, (text) => observer.onStall?.(text))
      : null;
    const onProgress = (reached: EnlistmentProgress) => {
      progress.update(reached.subscribed);
      stall?.look(reached);
    };
    return await body({ startedAt, target, dialect, crew, progress, onProgress, environment });
  } finally {
    crew.dismiss();
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
