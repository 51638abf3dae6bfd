/**
 * All bots of a run: one squad in this process, or several in processes of their own.
 *
 * @module
 */

import type { Runtime } from "../../runtime/types.ts";
import { createDialect } from "../dialects/dialects.ts";
import { type EnlistmentProgress, MAX_CONNECTING } from "./ramp_up.ts";
import { LocalSquad } from "./local_group.ts";
import { RemoteSquad } from "./remote_group.ts";
import { tallied } from "../measures/tally.ts";
import type { SettleOutcome, SetupOutcome, Squad, SquadPlan, SquadRound } from "./group.ts";
import type { SquadStorm, StormProgress } from "./reconnection.ts";

/** What the whole crew is to do. */
export interface CrewPlan extends Omit<SquadPlan, "size" | "maxConnecting"> {
  readonly n: number;
  readonly processes: number;
}

/** Squads that go through the phases of a run together: none begins one before all have ended the last. */
export class Crew {
  readonly #squads: readonly Squad[];

  private constructor(squads: readonly Squad[]) {
    this.#squads = squads;
  }

  /**
   * Gets the processes. With one, the bots run in this process.
   *
   * @throws {EnvironmentError} (rejects) if a process can't be started.
   */
  static async muster(runtime: Runtime, plan: CrewPlan): Promise<Crew> {
    const { n, processes } = plan;
    // What one listener's backlog can take is for all of them together.
    const maxConnecting = Math.max(Math.floor(MAX_CONNECTING / processes), 8);
    const plans = Array.from({ length: processes }, (_, at): SquadPlan => ({
      ...plan,
      size: Math.floor(n * (at + 1) / processes) - Math.floor(n * at / processes),
      maxConnecting,
    }));
    if (processes === 1) {
      return new Crew([
        new LocalSquad(runtime, createDialect(plan.dialect, plan, plan.keys), plans[0]!),
      ]);
    }
    const started = await Promise.allSettled(
      plans.map((plan) => RemoteSquad.start(runtime, plan)),
    );
    const crew = new Crew(
      started.filter((start) => start.status === "fulfilled").map(({ value }) => value),
    );
    const failed = started.find((start) => start.status === "rejected");
    if (failed === undefined) return crew;
    crew.dismiss();
    throw failed.reason;
  }

  /** The processes, and how many bots are in each. */
  get processes(): { readonly pid: number; readonly bots: number }[] {
    return this.#squads.map(({ pid, size }) => ({ pid, bots: size }));
  }

  setUp(onProgress: (progress: EnlistmentProgress) => void): Promise<SetupOutcome[]> {
    const ofSquad = this.#summingUp(onProgress);
    return Promise.all(this.#squads.map((squad, at) => squad.setUp(ofSquad[at]!)));
  }

  /** Resolves with how many bots had to be waited for, in all. */
  async gather(onProgress: (progress: EnlistmentProgress) => void): Promise<number> {
    const ofSquad = this.#summingUp(onProgress);
    const missing = await Promise.all(
      this.#squads.map((squad, at) => squad.gather(ofSquad[at]!)),
    );
    return missing.reduce((sum, one) => sum + one, 0);
  }

  /** For each squad, whom to tell its progress; all of it goes on as one. */
  #summingUp(onProgress: (progress: EnlistmentProgress) => void) {
    const all = this.#squads.map((): EnlistmentProgress => ({
      greeted: 0,
      subscribed: 0,
      failedAttempts: {},
    }));
    return this.#squads.map((_, at) => (progress: EnlistmentProgress) => {
      all[at] = progress;
      onProgress({
        greeted: all.reduce((sum, { greeted }) => sum + greeted, 0),
        subscribed: all.reduce((sum, { subscribed }) => sum + subscribed, 0),
        failedAttempts: tallied(all.map(({ failedAttempts }) => failedAttempts)),
      });
    });
  }

  /** Takes as long as the squad that is the last to become quiet. */
  async settle(): Promise<SettleOutcome> {
    const outcomes = await Promise.all(this.#squads.map((squad) => squad.settle()));
    return {
      settledMs: Math.max(...outcomes.map(({ settledMs }) => settledMs)),
      isQuiet: outcomes.every(({ isQuiet }) => isQuiet),
    };
  }

  async begin(): Promise<void> {
    await Promise.all(this.#squads.map((squad) => squad.begin()));
  }

  /** Resolves when everyone who is connected has the message. */
  async received(): Promise<void> {
    await Promise.all(this.#squads.map((squad) => squad.received()));
  }

  collect(): Promise<SquadRound[]> {
    return Promise.all(this.#squads.map((squad) => squad.collect()));
  }

  async startStorm(): Promise<void> {
    await Promise.all(this.#squads.map((squad) => squad.startStorm()));
  }

  stormProgress(): Promise<StormProgress[]> {
    return Promise.all(this.#squads.map((squad) => squad.stormProgress()));
  }

  endStorm(): Promise<SquadStorm[]> {
    return Promise.all(this.#squads.map((squad) => squad.endStorm()));
  }

  async disband(): Promise<void> {
    await Promise.all(this.#squads.map((squad) => squad.disband()));
  }

  /** Drops everything, ends the processes; at any time, idempotent. */
  dismiss(): void {
    for (const squad of this.#squads) squad.dismiss();
  }
}
