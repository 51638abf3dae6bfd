/**
 * What a run amounts to, in one word that its text, its exit status and other commands go by.
 *
 * @module
 */

import type { BotsReport } from "./report.ts";

/**
 * - `passed`: every bot got every message, once, intact and in time, and `--slo` held.
 * - `failed`: they didn't, and the bots could have seen it if they had.
 * - `invalid`: the run is no measure of the server, whatever it found.
 */
export type Outcome = "passed" | "failed" | "invalid";

/** The status with which a command ends; 2 is for a wrong command line. */
export const EXIT_STATUS: Readonly<Record<Outcome, number>> = { passed: 0, failed: 1, invalid: 3 };

/** What a run amounts to. */
export function outcomeOf({ valid, bad, slo }: Pick<BotsReport, "valid" | "bad" | "slo">): Outcome {
  if (!valid) return "invalid";
  return bad === 0 && slo?.held !== false ? "passed" : "failed";
}

/** What a storm amounts to: it passed when all bots came back. */
export function stormOutcome(
  { valid, still_out }: { readonly valid: boolean; readonly still_out: number },
): Outcome {
  if (!valid) return "invalid";
  return still_out === 0 ? "passed" : "failed";
}

/** What several runs amount to together: a failure outweighs a run that is no measure. */
export function worstOf(outcomes: readonly Outcome[]): Outcome {
  return outcomes.find((outcome) => outcome === "failed") ??
    outcomes.find((outcome) => outcome === "invalid") ?? "passed";
}
