/**
 * All bots of a run, as the process that leads it sees them, wherever they are.
 *
 * @module
 */

import type { ClockOffset } from "../measures/clock_offset.ts";
import type { GroupRound, SettleOutcome, SetupOutcome } from "./group.ts";
import type { RampUpProgress } from "./ramp_up.ts";

/** One process of bots. */
export interface FleetProcess {
  readonly pid: number;
  /** The number of its bots. */
  readonly bots: number;
  /** The address of the agent that started it; absent on this machine. */
  readonly agent?: string;
}

/**
 * Groups that go through the phases of a run together: each phase ends in all groups before the next
 * begins. Results are in the order of {@linkcode BotFleet.processes}.
 */
export interface BotFleet {
  /** The processes, one for each group. */
  readonly processes: readonly FleetProcess[];
  /** Connects and subscribes all bots, as far as the server accepts them. */
  setUp(onProgress: (progress: RampUpProgress) => void): Promise<SetupOutcome[]>;
  /** Waits for bots that come back. Resolves with the number of bots, in all groups, that it waited for. */
  gather(onProgress: (progress: RampUpProgress) => void): Promise<number>;
  /** Resolves when every group is quiet. */
  settle(): Promise<SettleOutcome>;
  /**
   * Compares each group's clock with this process's; `null` if all groups have the clock of this machine.
   */
  compareClocks(): Promise<ClockOffset[] | null>;
  /** Begins a round: from now on bots expect the message. */
  begin(): Promise<void>;
  /** Resolves when every connected bot has the message. */
  received(): Promise<void>;
  /** Ends the round. */
  collect(): Promise<GroupRound[]>;
  /** Unsubscribes and closes all connections. Resolves when they are closed. */
  leave(): Promise<void>;
  /** Drops all connections and ends the processes. May be called at any time, more than once. */
  abandon(): void;
}

/** The sum of the reports of several groups about one phase. */
export function settledAll(outcomes: readonly SettleOutcome[]): SettleOutcome {
  return {
    settledMs: Math.max(...outcomes.map(({ settledMs }) => settledMs)),
    isQuiet: outcomes.every(({ isQuiet }) => isQuiet),
  };
}
