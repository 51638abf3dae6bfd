/**
 * Makes all runs of a comparison, in an order that keeps a moment's disturbance from favouring one
 * server.
 *
 * @module
 */

import type { Arm } from "./arm.ts";
import type { Random } from "../harness/random.ts";
import type { RunReport } from "./results/report.ts";
import type { RunOutcome } from "./run_once.ts";

/** The arms, the numbers of subscribers, and the number of runs. */
export interface SessionPlan {
  readonly arms: readonly Arm[];
  /** Numbers of subscribers. */
  readonly sizes: readonly number[];
  /** The number of valid runs of each arm with each number of subscribers. */
  readonly runs: number;
}

/** One run and its place in the session. */
export interface Turn {
  readonly arm: Arm;
  readonly n: number;
  /** The pass's number, from 1. */
  readonly pass: number;
}

/** The callbacks of a session. */
export interface SessionWork {
  /** Makes a run. `null` ends the session with the runs that are over. */
  run(turn: Turn): Promise<RunOutcome | null>;
  /** A run is over. */
  onRun?(run: RunReport): void;
}

/**
 * Makes passes over all arms, one after another. In each pass, every arm has one run with each number of
 * subscribers. So a disturbance of the machine meets all arms. The order within a pass is drawn anew each
 * time, so that no arm always follows the same other one.
 *
 * Further passes make up for invalid runs, again with all arms: at most half as many as planned, but at
 * least two.
 */
export async function runSession(
  plan: SessionPlan,
  random: Random,
  work: SessionWork,
): Promise<RunReport[]> {
  const runs: RunReport[] = [];
  for (let pass = 1; pass <= maxPasses(plan); pass++) {
    const sizes = plan.sizes.filter((n) => pass <= plan.runs || isShort(plan, n, runs));
    for (const n of random.shuffled(sizes)) {
      for (const arm of random.shuffled(plan.arms)) {
        const startedAt = new Date();
        const outcome = await work.run({ arm, n, pass });
        if (outcome === null) return runs;
        const run: RunReport = {
          run: runs.length + 1,
          pass,
          n,
          arm: arm.name,
          started_at: startedAt.toISOString(),
          ...outcome,
        };
        runs.push(run);
        work.onRun?.(run);
      }
    }
  }
  return runs;
}

/** The most passes. */
export function maxPasses({ runs }: SessionPlan): number {
  return runs + Math.max(Math.ceil(runs / 2), 2);
}

/** True if some arm lacks valid runs with n subscribers. */
function isShort(
  { arms, runs }: SessionPlan,
  n: number,
  done: readonly RunReport[],
): boolean {
  return arms.some((arm) =>
    done.filter((run) => run.valid && run.n === n && run.arm === arm.name).length < runs
  );
}
