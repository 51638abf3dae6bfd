/**
 * All bots of a run: one group in this process, or several groups in processes of their own.
 *
 * @module
 */

import type { Runtime } from "../../runtime/types.ts";
import { createDialect } from "../dialects/dialects.ts";
import { MAX_CONNECTING, type RampUpProgress } from "./ramp_up.ts";
import { LocalGroup } from "./local_group.ts";
import { RemoteGroup } from "./remote_group.ts";
import { tallied } from "../measures/tally.ts";
import type { BotGroup, GroupPlan, GroupRound, SettleOutcome, SetupOutcome } from "./group.ts";
import type { GroupStorm, StormProgress } from "./reconnection.ts";

/** The plan of the whole fleet. */
export interface FleetPlan extends Omit<GroupPlan, "size" | "maxConnecting"> {
  readonly n: number;
  readonly processes: number;
}

/**
 * Groups that go through the phases of a run together: each phase ends in all groups before the next
 * begins.
 */
export class Fleet {
  readonly #groups: readonly BotGroup[];

  private constructor(groups: readonly BotGroup[]) {
    this.#groups = groups;
  }

  /**
   * Starts the processes. With `processes` 1, the bots run in this process.
   *
   * @throws {EnvironmentError} (rejects) if a process can't be started.
   */
  static async start(runtime: Runtime, plan: FleetPlan): Promise<Fleet> {
    const { n, processes } = plan;
    // One listener's backlog is shared by all groups.
    const maxConnecting = Math.max(Math.floor(MAX_CONNECTING / processes), 8);
    const plans = Array.from({ length: processes }, (_, at): GroupPlan => ({
      ...plan,
      size: Math.floor(n * (at + 1) / processes) - Math.floor(n * at / processes),
      maxConnecting,
    }));
    if (processes === 1) {
      const dialect = createDialect(plan.dialect, plan, plan.keys, plan.resumption !== null);
      return new Fleet([new LocalGroup(runtime, dialect, plans[0]!)]);
    }
    const started = await Promise.allSettled(
      plans.map((plan) => RemoteGroup.start(runtime, plan)),
    );
    const fleet = new Fleet(
      started.filter((start) => start.status === "fulfilled").map(({ value }) => value),
    );
    const failed = started.find((start) => start.status === "rejected");
    if (failed === undefined) return fleet;
    fleet.abandon();
    throw failed.reason;
  }

  /** The processes, and the number of bots in each. */
  get processes(): { readonly pid: number; readonly bots: number }[] {
    return this.#groups.map(({ pid, size }) => ({ pid, bots: size }));
  }

  setUp(onProgress: (progress: RampUpProgress) => void): Promise<SetupOutcome[]> {
    const ofGroup = this.#summingUp(onProgress);
    return Promise.all(this.#groups.map((group, at) => group.setUp(ofGroup[at]!)));
  }

  /** Resolves with the number of bots, in all groups, that it waited for. */
  async gather(onProgress: (progress: RampUpProgress) => void): Promise<number> {
    const ofGroup = this.#summingUp(onProgress);
    const missing = await Promise.all(
      this.#groups.map((group, at) => group.gather(ofGroup[at]!)),
    );
    return missing.reduce((sum, one) => sum + one, 0);
  }

  /** A progress callback for each group, which passes on the sum of all groups. */
  #summingUp(onProgress: (progress: RampUpProgress) => void) {
    const all = this.#groups.map((): RampUpProgress => ({
      greeted: 0,
      subscribed: 0,
      failedAttempts: {},
    }));
    return this.#groups.map((_, at) => (progress: RampUpProgress) => {
      all[at] = progress;
      onProgress({
        greeted: all.reduce((sum, { greeted }) => sum + greeted, 0),
        subscribed: all.reduce((sum, { subscribed }) => sum + subscribed, 0),
        failedAttempts: tallied(all.map(({ failedAttempts }) => failedAttempts)),
      });
    });
  }

  /** Resolves when every group is quiet. */
  async settle(): Promise<SettleOutcome> {
    const outcomes = await Promise.all(this.#groups.map((group) => group.settle()));
    return {
      settledMs: Math.max(...outcomes.map(({ settledMs }) => settledMs)),
      isQuiet: outcomes.every(({ isQuiet }) => isQuiet),
    };
  }

  async begin(): Promise<void> {
    await Promise.all(this.#groups.map((group) => group.begin()));
  }

  /** Resolves when every connected bot has the message. */
  async received(): Promise<void> {
    await Promise.all(this.#groups.map((group) => group.received()));
  }

  collect(): Promise<GroupRound[]> {
    return Promise.all(this.#groups.map((group) => group.collect()));
  }

  async startStorm(): Promise<void> {
    await Promise.all(this.#groups.map((group) => group.startStorm()));
  }

  /** Breaks the connections of all bots, at once. */
  async cut(): Promise<void> {
    await Promise.all(this.#groups.map((group) => group.cut()));
  }

  stormProgress(): Promise<StormProgress[]> {
    return Promise.all(this.#groups.map((group) => group.stormProgress()));
  }

  endStorm(): Promise<GroupStorm[]> {
    return Promise.all(this.#groups.map((group) => group.endStorm()));
  }

  async leave(): Promise<void> {
    await Promise.all(this.#groups.map((group) => group.leave()));
  }

  /** Drops all connections and ends the processes. May be called at any time, more than once. */
  abandon(): void {
    for (const group of this.#groups) group.abandon();
  }
}
