/**
 * The part of a report about agents, and about how exactly their clocks are known.
 *
 * @module
 */

import type { ClockComparison, ClockOffset } from "../measures/clock_offset.ts";
import type { GroupRound } from "../fleet/group.ts";
import { clockErrorMs, type RunRecord } from "../run/run.ts";
import type {
  AgentReport,
  AgentRoundReport,
  ClockErrorReport,
  ClockReport,
  EnvironmentReport,
  RoundReport,
} from "./report.ts";
import { type RoundTimes, score } from "./score.ts";
import { whyInvalid } from "./validity.ts";

/** An agent, and its part of the run. */
export interface AgentContext {
  /** Its address, as it was given. */
  readonly name: string;
  readonly bots: number;
  /** The number of its processes. */
  readonly processes: number;
  /** The IP addresses that its bots connected to. */
  readonly addresses: readonly string[];
  readonly environment: EnvironmentReport;
}

/** The circumstances of a run that concern agents. */
interface Context {
  readonly agents: readonly AgentContext[];
  readonly processes: readonly { readonly pid: number }[];
  /** 1 for each bot that was good in every round. */
  readonly isGood: Uint8Array;
  readonly rounds: readonly RoundReport[];
}

/** The greatest part of the last arrival that the clocks' error may be, to leave the run unmarked. */
export const MAX_CLOCK_PART = 0.05;

/** A row for each agent. */
export function agentReports(record: RunRecord, context: Context): AgentReport[] {
  let bot = 0;
  let group = 0;
  return context.agents.map((agent, at): AgentReport => {
    const groups = [group, group += agent.processes] as const;
    const isGood = context.isGood.subarray(bot, bot += agent.bots);
    const good = isGood.reduce((sum, one) => sum + one, 0);
    const unfit = unfitBecause(record, context, groups);
    return {
      agent: agent.name,
      bots: agent.bots,
      good,
      bad: agent.bots - good,
      last_ms: worstOf(context.rounds.map(({ agents }) => agents?.[at]?.last_ms ?? null)),
      fit: unfit.length === 0,
      unfit_because: unfit,
      clocks: (record.clocks ?? []).slice(...groups).map((clock, at) =>
        clockReport(context.processes[groups[0] + at]!.pid, clock)
      ),
      addresses: [...agent.addresses],
      environment: agent.environment,
    };
  });
}

/** Each agent's part of a round. */
export function agentRounds(
  groups: readonly GroupRound[],
  agents: readonly AgentContext[],
  times: RoundTimes,
): AgentRoundReport[] {
  let group = 0;
  return agents.map(({ name, processes }) => {
    const { good, bad, endToEndMs } = score(groups.slice(group, group += processes), times);
    return { agent: name, good, bad, last_ms: worstOf([...endToEndMs]) };
  });
}

/** The exactness of the agents' clocks, against the last arrival of the worst round. */
export function clockErrorReport(record: RunRecord, lastMs: number | null): ClockErrorReport {
  const error_ms = clockErrorMs(record);
  const part = lastMs === null ? null : error_ms / lastMs;
  return { error_ms, part_of_last: part, small: part === null || part <= MAX_CLOCK_PART };
}

function unfitBecause(
  { rounds }: RunRecord,
  { processes, rounds: reports }: Context,
  [from, to]: readonly [number, number],
): string[] {
  return rounds.flatMap(({ groups }, round) =>
    groups.slice(from, to).flatMap(({ load }, at) => {
      const why = whyInvalid(load, reports[round]!.run_ms);
      if (why === null) return [];
      const which = rounds.length === 1 ? "" : `round ${round + 1}: `;
      return [`${which}process ${processes[from + at]!.pid}: ${why}`];
    })
  );
}

/** The greatest number; `null` if there is none. `Math.max` overflows the stack with 100,000 of them. */
function worstOf(values: readonly (number | null)[]): number | null {
  return values.reduce(
    (worst, value) => worst === null || (value !== null && value > worst) ? value : worst,
    null,
  );
}

function clockReport(pid: number, clock: ClockComparison): ClockReport {
  return {
    pid,
    offset_ms: clock.offsetMs,
    error_ms: clock.errorMs,
    before: measured(clock.before),
    after: measured(clock.after),
  };
}

function measured({ offsetMs, errorMs }: ClockOffset): { offset_ms: number; error_ms: number } {
  return { offset_ms: offsetMs, error_ms: errorMs };
}
