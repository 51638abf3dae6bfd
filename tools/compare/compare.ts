/**
 * A whole comparison, from its options to its report.
 *
 * @module
 */

import { randomInt } from "node:crypto";
import { counted } from "../../cli/counted.ts";
import { EnvironmentError } from "../../cli/command_line.ts";
import type { Runtime } from "../../runtime/types.ts";
import { readFacts, type SystemFacts } from "../../host/facts.ts";
import { remedyLines } from "../../host/finding.ts";
import { checkUp } from "../doctor/checkup.ts";
import { type Allowances, judgeAllowances, readAllowances } from "../doctor/ena_allowances.ts";
import { type EnvironmentRecord, recordEnvironment } from "../doctor/environment_record.ts";
import { chooseSpread } from "../../bots/run/preflight.ts";
import { findProgram, type Program, type RuntimeName } from "../../cli/program.ts";
import type { Arm } from "./arm.ts";
import { buildReport } from "./results/build_report.ts";
import type { CompareOptions } from "./options.ts";
import { MAX_SEED, Random } from "../harness/random.ts";
import type { ArmReport, CompareReport, RunReport } from "./results/report.ts";
import { type RunContext, runOnce, type RunOutcome, WARMUP_ROUNDS } from "./run_once.ts";
import { runSession } from "./session.ts";
import type { Cleanup } from "../harness/cleanup.ts";
import { MIN_RUNS } from "./results/verdict.ts";

/** The callbacks of a comparison, and the signals that end it. */
export interface CompareObserver {
  readonly cleanup: Cleanup;
  /** Receives a line for people. */
  say(line: string): void;
  /** A run is over. `total` is the number of runs if all are valid. */
  onRun(run: RunReport, total: number): void;
}

type Programs = Partial<Record<RuntimeName, Program>>;

/**
 * Compares servers. After a signal, the report covers the runs that are over by then. All child processes
 * have ended before the report is made, and from then on signals end this process as usual.
 *
 * @param args The command line, for the report.
 * @returns `null` if a signal came before the first run was over.
 * @throws {EnvironmentError} (rejects) when the comparison can't take place.
 */
export async function compare(
  runtime: Runtime,
  options: CompareOptions,
  args: readonly string[],
  observer: CompareObserver,
): Promise<CompareReport | null> {
  const startedAt = new Date();
  const { arms, sizes, runs } = options;
  const seed = options.seed ?? randomInt(MAX_SEED + 1);
  const programs = findPrograms(options);
  const facts = readFacts();
  checkMachine(options, facts, observer);
  if (runs < MIN_RUNS) {
    observer.say(`compare: note: a verdict takes ${MIN_RUNS} runs of each or more; see --runs`);
  }
  const environment = await recordEnvironment({
    runtime,
    commandLine: ["compare", ...args],
    seed,
    ec2: options.ec2,
  });
  const context: RunContext = {
    programs,
    botsRuntime: options.botsRuntime,
    descriptorLimit: facts.descriptorLimit,
    workers: options.workers,
    // If one loopback address has too few ports, the bots need several.
    host: chooseSpread(sizes.at(-1)!, facts.portRange) > 1 ? "0.0.0.0" : "127.0.0.1",
    rounds: options.rounds,
    data: options.data,
    timeoutMs: options.timeoutMs,
    agents: options.agents,
    cleanup: observer.cleanup,
  };
  const total = arms.length * sizes.length * runs;
  const done = await runSession({ arms, sizes, runs }, new Random(seed), {
    run: async ({ arm, n }) => await watched(environment, () => runOnce({ arm, n }, context)),
    onRun(run) {
      observer.onRun(run, total);
      checkFirst(run);
    },
  });
  await observer.cleanup.endAll();
  const isInterrupted = observer.cleanup.status !== null;
  if (isInterrupted && done.length === 0) return null;
  return buildReport(done, {
    startedAt,
    endedAt: new Date(),
    options: {
      runs,
      rounds: options.rounds,
      warmup_rounds: WARMUP_ROUNDS,
      workers: options.workers,
      bots_runtime: options.botsRuntime,
      bots_runtime_version: programs[options.botsRuntime]!.version,
      seed,
      topic: "events",
      data_bytes: new TextEncoder().encode(options.data).length,
      timeout_ms: options.timeoutMs,
      ...options.agents === null ? {} : { agents: options.agents.agents.split(",") },
    },
    arms: arms.map((arm) => armReport(arm, programs)),
    sizes: isInterrupted ? sizes.filter((size) => done.some(({ n }) => n === size)) : sizes,
    environment,
    interrupted: isInterrupted ? { planned_runs: total } : null,
  });
}

function findPrograms({ arms, botsRuntime }: CompareOptions): Programs {
  const programs: Programs = {};
  for (const name of [botsRuntime, ...arms.map(({ runtime }) => runtime)]) {
    if (name !== null) programs[name] ??= findProgram(name);
  }
  return programs;
}

/** Checks whether the machine can hold the load, before minutes are spent. */
function checkMachine(
  { arms, sizes, workers, botsRuntime }: CompareOptions,
  facts: SystemFacts,
  observer: CompareObserver,
): void {
  // Nothing but the bots runs here, and they check their own needs.
  if (arms.every(({ runtime }) => runtime === null)) return;
  const need = { n: sizes.at(-1)!, role: "both", workers, runtime: botsRuntime } as const;
  const findings = checkUp(need, facts, null).filter(({ isFine }) => !isFine);
  for (const finding of findings) {
    observer.say(`compare: ${finding.isFatal ? "this can't work" : "note"}: ${finding.says}`);
    for (const line of remedyLines(finding)) observer.say(`  ${line}`);
  }
  if (findings.some(({ isFatal }) => isFatal)) {
    throw new EnvironmentError("not started; the lines above say what to change");
  }
}

/**
 * Ends the comparison if an arm's first run fails: a server that can't be measured once isn't tried ten
 * times.
 */
function checkFirst({ pass, arm, n, rounds, invalid_because }: RunReport): void {
  if (pass > 1 || rounds.length > 0) return;
  throw new EnvironmentError(
    `${arm} can't be measured with ${counted(n, "bot")}: ${invalid_because[0]}`,
  );
}

/** Makes a run, and marks it invalid if EC2 held packets up meanwhile; see `ena_allowances.ts`. */
async function watched(
  { ec2 }: EnvironmentRecord,
  run: () => Promise<RunOutcome | null>,
): Promise<RunOutcome | null> {
  if (ec2 === null) return await run();
  const read = (): Promise<Allowances | null> => readAllowances(ec2.network_device);
  const before = await read();
  const outcome = await run();
  if (outcome === null) return null;
  ec2.allowances_after = await read();
  const { invalidBecause } = judgeAllowances(before, ec2.allowances_after);
  return {
    ...outcome,
    valid: outcome.valid && invalidBecause.length === 0,
    invalid_because: [...outcome.invalid_because, ...invalidBecause],
  };
}

function armReport(arm: Arm, programs: Programs): ArmReport {
  const { name, dialect, runtime } = arm;
  if (runtime === null) {
    const host = arm.host.includes(":") ? `[${arm.host}]` : arm.host;
    return { name, dialect, runtime, runtime_version: null, address: `${host}:${arm.port}` };
  }
  return { name, dialect, runtime, runtime_version: programs[runtime]!.version, address: null };
}
