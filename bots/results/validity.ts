/**
 * Decides whether a run measured the server, and not the bots themselves.
 *
 * @module
 */

import { counted } from "../../cli/counted.ts";
import type { LoopReading } from "../measures/loop_meter.ts";
import { tallyText } from "../measures/tally.ts";
import { remedyFor } from "../client/refusal.ts";
import type { BotsReport } from "./report.ts";

/**
 * The most of a round that the bots' own delay may take. With a quarter, the measured latencies are too
 * long by at most a third, and in truth by less, since the worst delay seldom meets the last message.
 */
const MAX_OWN_PART = 0.25;

/**
 * Milliseconds. Shorter delays never make a run invalid: timers count whole milliseconds, and with two
 * processes on a core the scheduler alone takes it away for some milliseconds.
 */
const MIN_OWN_MS = 10;

/**
 * Used only if the read delay can't be measured: from this share of a core on, the loop hardly ever
 * waits.
 */
const BUSY_CPU_SHARE = 0.9;

/**
 * The reason why a process didn't measure the server in a round; `null` if it did.
 *
 * The rule is how long a message that had arrived waited for its bot, not how busy the process was.
 * Twenty thousand messages within 300 ms keep any process busy, above all if the server uses the
 * machine's other core, and that is fine as long as the process keeps up. If it doesn't, messages queue
 * up in the kernel, and the last one's time is the bots' own. The read delay measures that queue, since
 * the canary waits in it. A pause of the whole process (garbage collection, no free core) shows in the
 * timer's lag as well.
 *
 * @param roundMs Milliseconds from the publish until the last bot had the message; the whole limit if
 * some never had it, since the bots would have had to be held up that long to miss it.
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
 * The reason why a run doesn't measure the server with n subscribers: some never subscribed. `null` if
 * all did. The server's own words come before the errors of connecting, since they say more.
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
