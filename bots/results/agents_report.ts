/**
 * The part of a report about agents, and about how exactly their clocks are known.
 *
 * @module
 */

import type { ClockComparison, ClockOffset } from "../measures/clock_offset.ts";
import { clockErrorMs, type RunRecord } from "../run/run.ts";
import type { AgentReport, ClockErrorReport, ClockReport, EnvironmentReport } from "./report.ts";
import { score } from "./score.ts";
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
  readonly timeoutMs: number;
  /** 1 for each bot that was good in every round. */
  readonly isGood: Uint8Array;
  /** Milliseconds from the publish to the end, of each round. */
  readonly roundsMs: readonly number[];
}

/** The greatest part of the last arrival that the clocks' error may be, to leave the run unmarked. */
export const MAX_CLOCK_PART = 0.05;

/** A row for each agent. */
export function agentReports(record: RunRecord, context: Context): AgentReport[] {
  let bot = 0;
  let group = 0;
  return context.agents.map((agent): AgentReport => {
    const groups = [group, group += agent.processes] as const;
    const isGood = context.isGood.subarray(bot, bot += agent.bots);
    const good = isGood.reduce((sum, one) => sum + one, 0);
    const unfit = unfitBecause(record, context, groups);
    return {
      agent: agent.name,
      bots: agent.bots,
      good,
      bad: agent.bots - good,
      last_ms: lastMs(record, context, groups),
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

/** How exactly the agents' clocks are known, against the last arrival of the worst round. */
export function clockErrorReport(record: RunRecord, lastMs: number | null): ClockErrorReport {
  const error_ms = clockErrorMs(record);
  const part = lastMs === null ? null : error_ms / lastMs;
  return { error_ms, part_of_last: part, small: part === null || part <= MAX_CLOCK_PART };
}

function unfitBecause(
  { rounds }: RunRecord,
  { processes, roundsMs }: Context,
  [from, to]: readonly [number, number],
): string[] {
  return rounds.flatMap(({ groups }, round) =>
    groups.slice(from, to).flatMap(({ load }, at) => {
      const why = whyInvalid(load, roundsMs[round]!);
      if (why === null) return [];
      const which = rounds.length === 1 ? "" : `round ${round + 1}: `;
      return [`${which}process ${processes[from + at]!.pid}: ${why}`];
    })
  );
}

function lastMs(
  record: RunRecord,
  { timeoutMs }: Context,
  groups: readonly [number, number],
): number | null {
  const arrivals = record.rounds.flatMap((round) => {
    const { publishedAtMs } = round;
    const times = { publishedAtMs, timeoutMs, clockErrorMs: clockErrorMs(record) };
    const { endToEndMs } = score(round.groups.slice(...groups), times);
    return endToEndMs.length === 0 ? [] : [endToEndMs.reduce((most, ms) => Math.max(most, ms))];
  });
  return arrivals.length === 0 ? null : Math.max(...arrivals);
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
