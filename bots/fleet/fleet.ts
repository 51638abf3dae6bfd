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
import { type BotFleet, type FleetProcess, settledAll } from "./bot_fleet.ts";
import { shares, summingUp } from "./progress_sum.ts";
import type { BotGroup, GroupPlan, GroupRound, SettleOutcome, SetupOutcome } from "./group.ts";
import type { GroupStorm, StormProgress } from "./reconnection.ts";

/** Connecting goes on in each process, however many there are. */
const LEAST_CONNECTING = 8;

/** The plan of the whole fleet. */
export interface FleetPlan extends Omit<GroupPlan, "size" | "maxConnecting"> {
  readonly n: number;
  readonly processes: number;
  /** The most bots that may be between connecting and the greeting; {@linkcode MAX_CONNECTING} if absent. */
  readonly maxConnecting?: number;
}

/** The bots of this machine. */
export class Fleet implements BotFleet {
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
    const share = Math.floor((plan.maxConnecting ?? MAX_CONNECTING) / processes);
    const maxConnecting = Math.max(share, LEAST_CONNECTING);
    const plans = shares(n, processes).map((size): GroupPlan => ({ ...plan, size, maxConnecting }));
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
  get processes(): FleetProcess[] {
    return this.#groups.map(({ pid, size }) => ({ pid, bots: size }));
  }

  setUp(onProgress: (progress: RampUpProgress) => void): Promise<SetupOutcome[]> {
    const ofGroup = summingUp(this.#groups.length, onProgress);
    return Promise.all(this.#groups.map((group, at) => group.setUp(ofGroup[at]!)));
  }

  async gather(onProgress: (progress: RampUpProgress) => void): Promise<number> {
    const ofGroup = summingUp(this.#groups.length, onProgress);
    const missing = await Promise.all(
      this.#groups.map((group, at) => group.gather(ofGroup[at]!)),
    );
    return missing.reduce((sum, one) => sum + one, 0);
  }

  async settle(): Promise<SettleOutcome> {
    return settledAll(await Promise.all(this.#groups.map((group) => group.settle())));
  }

  // deno-lint-ignore require-await
  async compareClocks(): Promise<null> {
    return null;
  }

  /** The time now on the clock of each group, in milliseconds. */
  readClocks(): Promise<number[]> {
    return Promise.all(this.#groups.map((group) => group.readClock()));
  }

  async begin(): Promise<void> {
    await Promise.all(this.#groups.map((group) => group.begin()));
  }

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

  abandon(): void {
    for (const group of this.#groups) group.abandon();
  }
}
