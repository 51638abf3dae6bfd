/**
 * A storm: all bots are subscribed, the server goes away, and the bots come back.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import { EnvironmentError } from "../../cli/command_line.ts";
import type { Runtime } from "../../runtime/types.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { type Observer, withFleet } from "../measure.ts";
import type { BotsOptions } from "../run/options.ts";
import { checkSetup } from "../run/setup_check.ts";
import { setupReport } from "../results/setup_report.ts";
import { clockMs } from "../measures/clock.ts";
import { whyFewer } from "../results/validity.ts";
import type { StormProgress } from "../fleet/reconnection.ts";
import { buildStormReport, type StormReport } from "./report.ts";

/** Milliseconds in which the user has to stop or restart the server. */
const FIRST_LOSS_PATIENCE_MS = 10 * 60_000;

/**
 * Milliseconds. If only some bots lost their connections and all are back, the storm ends after so long
 * without a change.
 */
const CALM_MS = 5_000;

/** Milliseconds without a change after which the storm ends, though bots are still out. */
const STALL_MS = 60_000;

const LOOK_MS = 100;

/**
 * Connects and subscribes all bots, waits until they lose their connections, and measures how they come
 * back.
 *
 * @param args The command line, for the report.
 * @throws {EnvironmentError} (rejects) when the bots can't connect, or when none loses its connection.
 */
export function measureStorm(
  runtime: Runtime,
  options: BotsOptions,
  args: readonly string[],
  observer: Observer,
): Promise<StormReport> {
  return withFleet(runtime, options, args, observer, async (ready) => {
    const { fleet, startedAt, target, dialect, progress, onProgress, environment } = ready;
    const setups = await fleet.setUp(onProgress).finally(() => progress.stop());
    const refusal = await checkSetup(setups, { runtime, target, options, dialect });
    const setup = setupReport(setups, refusal);
    const fewer = whyFewer(options.n, setup);
    await fleet.startStorm();
    await observer.onSubscribed?.();
    await storm(fleet, setup.subscribed);
    const groups = await fleet.endStorm();
    await fleet.leave();
    const { host, port, n } = options;
    return buildStormReport({
      started_at: startedAt.toISOString(),
      target: { host, port, addresses: [...target.addresses], dialect: dialect.name },
      n,
      subscribed: setup.subscribed,
      valid: fewer === null,
      invalid_because: fewer === null ? [] : [fewer],
      environment,
    }, groups);
  });
}

/** Resolves when all bots lost their connection and are back, or when no more change is expected. */
async function storm(fleet: Fleet, subscribed: number): Promise<void> {
  const beganMs = clockMs();
  for (;;) {
    await sleep(LOOK_MS);
    const { struck, out, lastChangeMs } = total(await fleet.stormProgress());
    const calmMs = clockMs() - lastChangeMs;
    if (struck === 0) {
      if (clockMs() - beganMs <= FIRST_LOSS_PATIENCE_MS) continue;
      throw new EnvironmentError(
        `no bot lost its connection within ${FIRST_LOSS_PATIENCE_MS / 60_000} minutes: ` +
          `restart the server while the bots wait`,
      );
    }
    if (out === 0 && (struck >= subscribed || calmMs > CALM_MS)) return;
    if (calmMs > STALL_MS) return;
  }
}

function total(groups: readonly StormProgress[]): StormProgress {
  return {
    struck: groups.reduce((sum, { struck }) => sum + struck, 0),
    out: groups.reduce((sum, { out }) => sum + out, 0),
    lastChangeMs: Math.max(...groups.map(({ lastChangeMs }) => lastChangeMs)),
  };
}
