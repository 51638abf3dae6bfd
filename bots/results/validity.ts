/**
 * Whether what the bots measured was the server that they were to measure.
 *
 * @module
 */

import { counted } from "../../cli/counted.ts";
import type { LoopReading } from "../measures/loop_meter.ts";
import { tallyText } from "../measures/tally.ts";
import { remedyFor } from "../client/refusal.ts";
import type { BotsReport } from "./report.ts";

/**
 * How much of a round the bots' own delay may have been. A quarter: the latencies are then
 * too long by a third at the very worst, and in truth by less, since the worst delay seldom meets the
 * last message.
 */
const MAX_OWN_PART = 0.25;

/**
 * Own delays up to so many milliseconds are never held against a run: timers count whole milliseconds,
 * and with two processes on a core the scheduler alone takes one away for some milliseconds.
 */
const MIN_OWN_MS = 10;

/** Where the read delay can't be measured: from so much of a core on, the loop hardly ever waits. */
const BUSY_CPU_SHARE = 0.9;

/**
 * Why a process's measurements of a round aren't the server's; `null` where they are.
 *
 * The rule asks how long a message that had arrived waited for its bot. It isn't asked how busy the
 * process was: twenty thousand messages within 300 ms keep any process busy, above all where the server
 * has the machine's other core, and that is no fault as long as it keeps up. If it doesn't, the
 * messages queue up in the kernel, and the time of the last is the bots' own. That queue is what the
 * read delay measures, since the canary stands in it; a pause of the whole process (garbage collection,
 * no core to run on) shows in the timer's lag as well.
 *
 * @param roundMs From the publish until the last bot had the message; the whole limit where some never
 * had it, since that is how long the bots had to be held up to miss it.
 */
export function whyInvalid(load: LoopReading, roundMs: number): string | null {
  const { timerLagMs, readDelayMs, cpuShare } = load;
  const allowedMs = Math.max(roundMs * MAX_OWN_PART, MIN_OWN_MS);
  const allowed = `; ${allowedMs.toFixed(1)} ms is allowed in a round of ${roundMs.toFixed(1)} ms`;
  if (readDelayMs !== null && readDelayMs.max > allowedMs) {
    return `bytes that had arrived waited ${readDelayMs.max.toFixed(1)} ms to be read${allowed}`;
  }
  if (timerLagMs.max > allowedMs) {
    return `the event loop stood still for ${timerLagMs.max.toFixed(1)} ms${allowed}`;
  }
  if (readDelayMs === null && cpuShare >= BUSY_CPU_SHARE) {
    return `the process used ${(cpuShare * 100).toFixed(0)} % of a core, and it couldn't measure ` +
      `whether it kept up`;
  }
  return null;
}

/**
 * Why a run is no measure with n subscribers: some never subscribed. `null` where all did. What the server
 * said to them comes before how connecting failed, since it says more.
 */
export function whyFewer(
  n: number,
  setup: Pick<BotsReport["setup"], "given_up" | "failed_attempts" | "refusals" | "refusal">,
): string | null {
  if (setup.given_up === 0) return null;
  const { refusal } = setup;
  const who = `${setup.given_up} of ${counted(n, "bot")}`;
  if (refusal !== null) {
    return `${who} never subscribed, refused by the server: ${refusal}${remedyFor(refusal, n)}`;
  }
  const refused = tallyText(setup.refusals);
  const failed = tallyText(setup.failed_attempts);
  const because = refused !== ""
    ? ` (refused: ${refused})`
    : failed !== ""
    ? ` (failed attempts: ${failed})`
    : "";
  return `${who} never subscribed${because}`;
}
