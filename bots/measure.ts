/**
 * A whole run, from its options to its report.
 *
 * @module
 */

import type { Runtime } from "../runtime/types.ts";
import { AgentsFleet } from "./agents/agents_fleet.ts";
import type { AgentContext } from "./results/agents_report.ts";
import { buildReport } from "./results/build_report.ts";
import { environmentReport } from "./results/environment.ts";
import type { BotFleet } from "./fleet/bot_fleet.ts";
import type { Fleet } from "./fleet/fleet.ts";
import type { Dialect } from "./dialects/dialect.ts";
import { createDialect } from "./dialects/dialects.ts";
import type { RampUpProgress } from "./fleet/ramp_up.ts";
import type { BotsOptions } from "./run/options.ts";
import type { LeaderOptions } from "./run/agent_options.ts";
import { startLocalFleet } from "./run/local_fleet.ts";
import type { Finding } from "./run/preflight.ts";
import type { Progress } from "./run/progress.ts";
import type { BotsReport, EnvironmentReport } from "./results/report.ts";
import { run, type RunRecord } from "./run/run.ts";
import { readFacts } from "../host/facts.ts";
import { StallWatch } from "./fleet/stall_watch.ts";
import { type BotsTarget, findTarget } from "./run/target.ts";

/** The callbacks by which a run reports its progress. */
export interface Observer {
  /** This machine has too little of something. If a finding is fatal, the run ends with it. */
  onFindings(findings: readonly Finding[]): void;
  /** Connecting is about to start. `end` ends all processes of bots at once. */
  onStart(end: () => void): Promise<Progress> | Progress;
  /** Receives one line for people: that bots which try for ever make no progress, or what an agent lacks. */
  onNote?(text: string): void;
  /** All bots are subscribed, and nothing is published yet. The run goes on when the promise resolves. */
  onSubscribed?(): Promise<void>;
  /** The raw record of the run, before it is judged. */
  onRecord?(record: RunRecord): void;
}

/**
 * Measures a server, with the bots of this machine or of agents.
 *
 * @param args The command line, for the report.
 * @throws {EnvironmentError} (rejects) when the run can't take place, or an agent is lost.
 */
export function measure(
  runtime: Runtime,
  options: BotsOptions,
  args: readonly string[],
  observer: Observer,
): Promise<BotsReport> {
  const body = (ready: Ready) => measureWith(ready, runtime, options, observer);
  const { agents } = options;
  return agents === null
    ? withFleet(runtime, options, args, observer, body)
    : withAgents(runtime, options, agents, args, observer, body);
}

async function measureWith(
  ready: Ready,
  runtime: Runtime,
  options: BotsOptions,
  observer: Observer,
): Promise<BotsReport> {
  const { fleet, dialect, target, progress, onProgress, startedAt, environment, agents } = ready;
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
    addresses: agents === null
      ? target.addresses
      : [...new Set(agents.flatMap(({ addresses }) => addresses))],
    dialect,
    processes: fleet.processes,
    environment,
    agents,
  });
}

/** The way in which bots come back. */
export interface Returning {
  /** True if they come back with their positions. */
  readonly resumes: boolean;
}

/** All that a run needs before its first bot connects. */
export interface Ready<AFleet extends BotFleet = BotFleet> {
  readonly startedAt: Date;
  readonly target: BotsTarget;
  readonly dialect: Dialect;
  readonly fleet: AFleet;
  readonly progress: Progress;
  /** Receives the bots' progress. */
  readonly onProgress: (progress: RampUpProgress) => void;
  readonly environment: EnvironmentReport;
  /** The agents that have the bots; `null` if this machine has them. */
  readonly agents: readonly AgentContext[] | null;
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
  body: (ready: Ready<Fleet>) => Promise<T>,
  { resumes }: Returning = { resumes: false },
): Promise<T> {
  const startedAt = new Date();
  const facts = readFacts();
  const target = await findTarget(runtime, options, facts.portRange);
  const { topic, data, rounds } = options;
  const fleet = await startLocalFleet(
    runtime,
    { ...options, resumption: resumes ? { topic, data, rounds } : null },
    target,
    facts,
    (findings) => observer.onFindings(findings),
  );
  const environment = environmentReport(runtime, facts, args);
  const dialect = dialectOf(options, resumes);
  const parts = { startedAt, target, dialect, fleet, environment, agents: null };
  return await withProgress(parts, options, observer, body);
}

/**
 * Finds the server and the agents, and shares the bots among these. Ends them when `body` is done.
 *
 * @param args The command line, for the report.
 * @throws {EnvironmentError} (rejects) when an agent can't take its part. Errors of `body` pass through.
 */
async function withAgents<T>(
  runtime: Runtime,
  options: BotsOptions,
  leader: LeaderOptions,
  args: readonly string[],
  observer: Observer,
  body: (ready: Ready) => Promise<T>,
): Promise<T> {
  const startedAt = new Date();
  const facts = readFacts();
  // This machine has the publisher only.
  const target = await findTarget(runtime, { ...options, spread: 1 }, facts.portRange);
  const fleet = await AgentsFleet.start(runtime, options, leader);
  const environment = environmentReport(runtime, facts, args);
  const agents = fleet.members.map(({ agent, bots, processes, addresses, environment }) => ({
    name: agent.name,
    bots,
    processes: processes.length,
    addresses,
    environment,
  }));
  for (const { agent, notes } of fleet.members) {
    for (const note of notes) observer.onNote?.(`note: the agent at ${agent.name}: ${note}`);
  }
  const dialect = dialectOf(options, false);
  const parts = { startedAt, target, dialect, fleet, environment, agents };
  return await withProgress(parts, options, observer, body);
}

async function withProgress<T, AFleet extends BotFleet>(
  parts: Omit<Ready<AFleet>, "progress" | "onProgress">,
  { n, retries }: BotsOptions,
  observer: Observer,
  body: (ready: Ready<AFleet>) => Promise<T>,
): Promise<T> {
  const { fleet } = parts;
  try {
    const progress = await observer.onStart(() => fleet.abandon());
    const stall = retries === "forever"
      ? new StallWatch(n, (text) => observer.onNote?.(text))
      : null;
    const onProgress = (reached: RampUpProgress) => {
      progress.update(reached.subscribed);
      stall?.look(reached);
    };
    return await body({ ...parts, progress, onProgress });
  } finally {
    fleet.abandon();
  }
}

function dialectOf({ dialect, topic, data, keys }: BotsOptions, resumes: boolean): Dialect {
  return createDialect(dialect, { topic, data }, keys, resumes);
}
