/**
 * All runs of a comparison, in the order in which they keep one server's moment from being another's
 * luck.
 *
 * @module
 */

import type { Arm } from "./arm.ts";
import type { Random } from "../harness/random.ts";
import type { RunReport } from "./results/report.ts";
import type { RunOutcome } from "./run_once.ts";

/** What is to be run, how often. */
export interface SessionPlan {
  readonly arms: readonly Arm[];
  /** Numbers of subscribers. */
  readonly sizes: readonly number[];
  /** Valid runs of each arm with each number. */
  readonly runs: number;
}

/** One run, and where it stands. */
export interface Turn {
  readonly arm: Arm;
  readonly n: number;
  /** From 1. */
  readonly pass: number;
}

/** Those that it takes, and those who want to know. */
export interface SessionWork {
  /** Makes a run; `null` ends the session with those that are over. */
  run(turn: Turn): Promise<RunOutcome | null>;
  /** A run is over. */
  onRun?(run: RunReport): void;
}

/**
 * Passes over all arms, one after another; in each, every arm has one run with each number of
 * subscribers. So whatever happens to the machine meanwhile happens to all of them, and since the order
 * within a pass is drawn anew each time, no arm always comes behind the same other one.
 *
 * Where runs were invalid, further passes make up for them, again with all arms: at most half as many
 * as there were, and two.
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

/** How many passes there are at most. */
export function maxPasses({ runs }: SessionPlan): number {
  return runs + Math.max(Math.ceil(runs / 2), 2);
}

/** Whether some arm lacks valid runs with n subscribers. */
export function isShort(
  { arms, runs }: SessionPlan,
  n: number,
  done: readonly RunReport[],
): boolean {
  return arms.some((arm) =>
    done.filter((run) => run.valid && run.n === n && run.arm === arm.name).length < runs
  );
}
