/**
 * A storm: all bots connected and subscribed, the server goes, and they come back.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import { EnvironmentError } from "../../cli/command_line.ts";
import type { Runtime } from "../../runtime/types.ts";
import type { Crew } from "../fleet/fleet.ts";
import { type Observer, withCrew } from "../measure.ts";
import type { BotsOptions } from "../run/options.ts";
import { checkSetup } from "../run/setup_check.ts";
import { setupReport } from "../results/setup_report.ts";
import { clockMs } from "../measures/clock.ts";
import { whyFewer } from "../results/validity.ts";
import type { StormProgress } from "../fleet/reconnection.ts";
import { buildStormReport, type StormReport } from "./report.ts";

/** Whoever is to make the server go has so long. */
const FIRST_LOSS_PATIENCE_MS = 10 * 60_000;

/** Where only some lost their connections, and all are back, no more loss is to come after so long. */
const CALM_MS = 5_000;

/** Bots that don't get back for so long, though others might, are given up. */
const STALL_MS = 60_000;

const LOOK_MS = 100;

/**
 * Connects and subscribes all bots, waits until they lose their connections, and measures their way back.
 *
 * @param args The command line, for the report.
 * @throws {EnvironmentError} (rejects) when the bots can't connect, or nothing happens to them.
 */
export function measureStorm(
  runtime: Runtime,
  options: BotsOptions,
  args: readonly string[],
  observer: Observer,
): Promise<StormReport> {
  return withCrew(runtime, options, args, observer, async (ready) => {
    const { crew, startedAt, target, dialect, progress, onProgress, environment } = ready;
    const setups = await crew.setUp(onProgress).finally(() => progress.stop());
    const refusal = await checkSetup(setups, { runtime, target, options, dialect });
    const setup = setupReport(setups, refusal);
    const fewer = whyFewer(options.n, setup);
    await crew.startStorm();
    await observer.onSubscribed?.();
    await storm(crew, setup.subscribed);
    const squads = await crew.endStorm();
    await crew.disband();
    const { host, port, n } = options;
    return buildStormReport({
      started_at: startedAt.toISOString(),
      target: { host, port, addresses: [...target.addresses], dialect: dialect.name },
      n,
      subscribed: setup.subscribed,
      valid: fewer === null,
      invalid_because: fewer === null ? [] : [fewer],
      environment,
    }, squads);
  });
}

/** Resolves when everybody has been struck and is back, or nothing more is to be expected. */
async function storm(crew: Crew, subscribed: number): Promise<void> {
  const beganMs = clockMs();
  for (;;) {
    await sleep(LOOK_MS);
    const { struck, out, lastChangeMs } = total(await crew.stormProgress());
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

function total(squads: readonly StormProgress[]): StormProgress {
  return {
    struck: squads.reduce((sum, { struck }) => sum + struck, 0),
    out: squads.reduce((sum, { out }) => sum + out, 0),
    lastChangeMs: Math.max(...squads.map(({ lastChangeMs }) => lastChangeMs)),
  };
}
