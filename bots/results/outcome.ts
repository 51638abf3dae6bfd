/**
 * The outcome of a run in one word, from which its text and the exit status follow.
 *
 * @module
 */

import type { BotsReport } from "./report.ts";

/**
 * - `passed`: every bot received every message once, intact and in time, and `--slo` held.
 * - `failed`: that wasn't so, though the bots could have received everything.
 * - `invalid`: the run doesn't measure the server, whatever it found.
 */
export type Outcome = "passed" | "failed" | "invalid";

/** The exit status for each outcome; 2 is for a wrong command line. */
export const EXIT_STATUS: Readonly<Record<Outcome, number>> = { passed: 0, failed: 1, invalid: 3 };

/** The outcome of a run. */
export function outcomeOf({ valid, bad, slo }: Pick<BotsReport, "valid" | "bad" | "slo">): Outcome {
  if (!valid) return "invalid";
  return bad === 0 && slo?.held !== false ? "passed" : "failed";
}

/** The parts of a storm's report from which its outcome follows. */
interface StormResult {
  readonly valid: boolean;
  readonly still_out: number;
  readonly resumption: {
    readonly behind: number;
    readonly missing: number;
    readonly duplicate: number;
    readonly wrong: number;
  } | null;
}

/** The outcome of a storm: it passed when all bots came back, and got what the server promised them. */
export function stormOutcome({ valid, still_out, resumption }: StormResult): Outcome {
  if (!valid) return "invalid";
  const { behind = 0, missing = 0, duplicate = 0, wrong = 0 } = resumption ?? {};
  return still_out + behind + missing + duplicate + wrong === 0 ? "passed" : "failed";
}

/** The outcome of several runs together: a failed run outweighs an invalid one. */
export function worstOf(outcomes: readonly Outcome[]): Outcome {
  return outcomes.find((outcome) => outcome === "failed") ??
    outcomes.find((outcome) => outcome === "invalid") ?? "passed";
}
