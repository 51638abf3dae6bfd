/**
 * The part of a report about setting up, summed over all processes of bots.
 *
 * @module
 */

import { tallied } from "../measures/tally.ts";
import type { BotsReport } from "./report.ts";
import type { SetupOutcome } from "../fleet/group.ts";

/**
 * The `setup` part of a report, without the pause before the publish.
 *
 * @param refusal As in {@linkcode BotsReport}.
 */
export function setupReport(
  setups: readonly SetupOutcome[],
  refusal: string | null,
): Omit<BotsReport["setup"], "settle_ms" | "settled"> {
  return {
    subscribed: setups.reduce((sum, { subscribed }) => sum + subscribed, 0),
    given_up: setups.reduce((sum, { givenUp }) => sum + givenUp, 0),
    failed_attempts: tallied(setups.map(({ failedAttempts }) => failedAttempts)),
    refusals: tallied(setups.map(({ refusals }) => refusals)),
    refusal,
  };
}
