/**
 * Checks whether two machines' clocks agree.
 *
 * @module
 */

import type { ClockState } from "./facts.ts";
import { type Finding, fine, note, unknown } from "./finding.ts";

/** Milliseconds. Latencies of some hundred milliseconds must be exact to some percent. */
const MAX_ERROR_MS = 5;

const REMEDIES = [
  {
    where: "Linux",
    what: "sudo apt-get install -y chrony || sudo dnf install -y chrony; sudo chronyc makestep",
  },
  { where: "macOS", what: "sudo sntp -sS time.apple.com" },
];

/**
 * Checks whether this machine's clock agrees with another's. Only latencies from the other machine's
 * timestamps depend on it.
 *
 * @param isOneMachine True if server and bots share this machine, and so its clock.
 */
export function checkClock(isOneMachine: boolean, clock: ClockState | null): Finding {
  const about = "clock";
  if (isOneMachine) return fine(about, "server and bots are on this machine and have one clock");
  if (clock === null) return unknown(about);
  const { isSynchronized, maxErrorMs } = clock;
  const matters = "the latency from the server's timestamp is as wrong as the two clocks";
  if (!isSynchronized) return note(about, `nothing sets this clock; ${matters}`, REMEDIES);
  if (maxErrorMs === null) return fine(about, "it is synchronised; how well isn't known");
  const says = `it is synchronised to within ${maxErrorMs.toFixed(3)} ms`;
  return maxErrorMs <= MAX_ERROR_MS
    ? fine(about, says)
    : note(about, `${says}; ${matters}`, REMEDIES);
}
