/**
 * Checks the result of setting up, and finds the reason if bots are missing.
 *
 * @module
 */

import { EnvironmentError } from "../../cli/command_line.ts";
import type { Runtime } from "../../runtime/types.ts";
import type { Dialect } from "../dialects/dialect.ts";
import { ask } from "../client/inquiry.ts";
import type { BotsOptions } from "./options.ts";
import { remedyFor } from "../client/refusal.ts";
import type { SetupOutcome } from "../fleet/group.ts";
import type { BotsTarget } from "./target.ts";

/** The plan of setting up. */
export interface SetupPlan {
  readonly runtime: Runtime;
  readonly dialect: Dialect;
  readonly target: BotsTarget;
  readonly options: Pick<BotsOptions, "n" | "port" | "tls">;
}

/**
 * Finds out why not all bots are subscribed.
 *
 * @returns the server's words; `null` if all bots are subscribed, or if the server says nothing.
 * @throws {EnvironmentError} (rejects) with the reason if no bot is.
 */
export async function checkSetup(
  setups: readonly SetupOutcome[],
  plan: SetupPlan,
): Promise<string | null> {
  if (setups.every(({ givenUp }) => givenUp === 0)) return null;
  const { runtime, dialect, target, options } = plan;
  const [address] = target.addresses;
  const told = setups.map(({ firstRefusal }) => firstRefusal).find((words) => words !== null);
  const refusal = told ?? await ask(runtime, dialect, address!, options, "subscribe");
  if (setups.some(({ subscribed }) => subscribed > 0)) return refusal;
  const where = `${address}:${options.port}`;
  if (refusal !== null) {
    throw new EnvironmentError(
      `the server at ${where} refuses every bot: ${refusal}${remedyFor(refusal, options.n)}`,
    );
  }
  const failures = setups.flatMap((setup) => Object.keys(setup.failedAttempts));
  const isIt = `; does it speak ${dialect.name}?`;
  if (failures.length > 0) {
    throw new EnvironmentError(`no bot could subscribe at ${where}: ${failures.join(", ")}${isIt}`);
  }
  const isGreeted = setups.some(({ greeted }) => greeted > 0);
  throw new EnvironmentError(
    `the server at ${where} accepts connections but ` +
      (isGreeted ? "acknowledges no subscription" : "sends no greeting") + isIt,
  );
}
