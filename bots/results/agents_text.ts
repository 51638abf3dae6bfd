/**
 * The lines of a report about agents and their clocks.
 *
 * @module
 */

import { wrapped } from "../../cli/plain_text.ts";
import { MAX_CLOCK_PART } from "./agents_report.ts";
import type { AgentReport, BotsReport, ClockErrorReport } from "./report.ts";

const INDENT = "  ";

/** A table with a row for each agent; nothing without agents. */
export function agentLines({ agents }: Pick<BotsReport, "agents">): string[] {
  if (agents === null) return [];
  const width = Math.max(...agents.map(({ agent }) => agent.length), "agent".length);
  const cells = (first: string, others: readonly string[]) =>
    [first.padEnd(width), ...others.map((text) => text.padStart(9))].join("");
  return [
    "",
    cells("agent", ["bots", "good", "last ms", "clock ms", "±"]) + "  fit",
    ...agents.map((agent) => {
      const { bots, good, last_ms, fit } = agent;
      const clock = worstClock(agent);
      return cells(agent.agent, [
        String(bots),
        String(good),
        last_ms?.toFixed(2) ?? "-",
        clock?.offset_ms.toFixed(2) ?? "-",
        clock?.error_ms.toFixed(2) ?? "-",
      ]) + (fit ? "  yes" : "  NO");
    }),
    "clock: the agent's less the leader's, by which its latencies are corrected",
  ];
}

/** The mark of a run whose clocks are known too little; nothing for another. */
export function clockMark({ clock_error }: Pick<BotsReport, "clock_error">): string[] {
  if (clock_error === null || clock_error.small) return [];
  const percent = (part: number) => `${Number((part * 100).toFixed(1))} %`;
  return wrapped(
    `MARKED: the clocks' error, ± ${errorText(clock_error)} ms, is ` +
      `${percent(clock_error.part_of_last!)} of that; up to ${percent(MAX_CLOCK_PART)} is small`,
    INDENT,
  );
}

/** The meaning and the exactness of latencies by the server's timestamps. */
export function serversClockLines(error: ClockErrorReport | null): string[] {
  const says = "server's clock: from its timestamp to the arrival";
  if (error === null) return [`${says}; needs clocks that agree`];
  return wrapped(
    `${says}, ± ${errorText(error)} ms; needs a server whose clock agrees with this machine's`,
    "",
    INDENT,
  );
}

/** The error in milliseconds. */
export function errorText({ error_ms }: ClockErrorReport): string {
  return error_ms.toFixed(2);
}

function worstClock({ clocks }: AgentReport): AgentReport["clocks"][number] | undefined {
  return clocks.toSorted((a, b) => b.error_ms - a.error_ms)[0];
}
