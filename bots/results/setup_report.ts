/**
 * How setting up went, over all processes of bots.
 *
 * @module
 */

import { tallied } from "../measures/tally.ts";
import type { BotsReport } from "./report.ts";
import type { SetupOutcome } from "../fleet/group.ts";

/**
 * What a report says of setting up before anything is published.
 *
 * @param refusal As {@linkcode BotsReport} has it.
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
