/**
 * The last lines of a demonstration, and its exit status.
 *
 * @module
 */

import { EXIT_STATUS, outcomeOf, worstOf } from "../../bots/results/outcome.ts";
import { wrapped } from "../../cli/plain_text.ts";
import { RUNTIME_NAMES, type RuntimeName } from "../../cli/program.ts";
import type { BotsReport } from "../../bots/results/report.ts";
import { verdictAndReason } from "../../bots/results/report_text.ts";

/** The summary of a demonstration. */
export interface DemoSummary {
  /** Text for people, without a line feed at its end. */
  readonly text: string;
  /** The exit status. */
  readonly status: number;
}

/** Sums up one run against each runtime's server. Only runs that both passed are compared. */
export function summarize(reports: Readonly<Record<RuntimeName, BotsReport>>): DemoSummary {
  const verdicts = RUNTIME_NAMES.map((name) => `${name}: ${verdictAndReason(reports[name])}`);
  return {
    text: [...verdicts, comparison(reports)].flatMap((line) => wrapped(line, "", "  ")).join("\n"),
    status: EXIT_STATUS[worstOf(RUNTIME_NAMES.map((name) => outcomeOf(reports[name])))],
  };
}

function comparison(reports: Readonly<Record<RuntimeName, BotsReport>>): string {
  const others = RUNTIME_NAMES.flatMap((name) => {
    const outcome = outcomeOf(reports[name]);
    if (outcome === "passed") return [];
    return [`the run against ${name} ${outcome === "invalid" ? "is invalid" : "failed"}`];
  });
  if (others.length > 0) return `no comparison: ${others.join(", and ")}`;
  const [deno, bun] = RUNTIME_NAMES.map((name) => reports[name].rounds[0]!.end_to_end_ms!.max);
  return deno! < bun!
    ? `deno was ${(bun! / deno!).toFixed(2)} times as fast, this once`
    : `bun was ${(deno! / bun!).toFixed(2)} times as fast, this once`;
}
