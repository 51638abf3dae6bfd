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
import type { StormOptions } from "../run/storm_options.ts";
import { checkSetup } from "../run/setup_check.ts";
import { setupReport } from "../results/setup_report.ts";
import { clockMs } from "../measures/clock.ts";
import { whyFewer } from "../results/validity.ts";
import type { StormProgress } from "../fleet/reconnection.ts";
import { buildStormReport, type StormReport } from "./report.ts";
import { processorSecondsBetween, readProcessorSeconds } from "./server_processor.ts";
import { StormPublisher } from "./storm_publisher.ts";

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
 * Connects and subscribes all bots, waits until they lose their connections or breaks these, and measures
 * how they come back.
 *
 * @param args The command line, for the report.
 * @throws {EnvironmentError} (rejects) when the bots can't connect, when none loses its connection, or when
 * the admin port doesn't answer.
 */
export function measureStorm(
  runtime: Runtime,
  options: BotsOptions,
  plan: StormOptions,
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
    const { topic, data, rounds, host, port, n } = options;
    const publisher = !plan.resumes ? null : new StormPublisher({
      ...{ runtime, dialect, topic, data, rounds, hostname: target.addresses[0]!, place: options },
      everyMs: plan.everyMs,
    });
    const secondsBefore = plan.admin === null ? null : await readProcessorSeconds(plan.admin);
    if (plan.cuts) await fleet.cut();
    else await observer.onSubscribed?.();
    try {
      await storm(fleet, setup.subscribed, publisher);
      // Messages on their way have to arrive before they can be counted.
      if (publisher !== null) await fleet.settle();
    } finally {
      publisher?.stop();
    }
    const groups = await fleet.endStorm();
    const secondsAfter = plan.admin === null ? null : await readProcessorSeconds(plan.admin);
    await fleet.leave();
    return buildStormReport({
      started_at: startedAt.toISOString(),
      target: { host, port, addresses: [...target.addresses], dialect: dialect.name },
      n,
      subscribed: setup.subscribed,
      valid: fewer === null,
      invalid_because: fewer === null ? [] : [fewer],
      published: publisher?.published ?? 0,
      server_cpu_s: secondsBefore === null || secondsAfter === null
        ? null
        : processorSecondsBetween(secondsBefore, secondsAfter),
      environment,
    }, groups);
  }, plan);
}

/**
 * Resolves when all bots lost their connection and are back with all that they missed, or when no more
 * change is expected.
 *
 * @param publisher Publishes from the first loss on.
 */
async function storm(
  fleet: Fleet,
  subscribed: number,
  publisher: StormPublisher | null,
): Promise<void> {
  const beganMs = clockMs();
  let isPublishing = false;
  for (;;) {
    await sleep(LOOK_MS);
    const { struck, out, behind, lastChangeMs } = total(await fleet.stormProgress());
    const calmMs = clockMs() - lastChangeMs;
    if (struck === 0) {
      if (clockMs() - beganMs <= FIRST_LOSS_PATIENCE_MS) continue;
      throw new EnvironmentError(
        `no bot lost its connection within ${FIRST_LOSS_PATIENCE_MS / 60_000} minutes: ` +
          `restart the server while the bots wait`,
      );
    }
    if (!isPublishing) publisher?.start();
    isPublishing = true;
    const isLevel = out === 0 && behind === 0 && publisher?.isDone !== false;
    if (isLevel && (struck >= subscribed || calmMs > CALM_MS)) return;
    if (calmMs > STALL_MS) return;
  }
}

function total(groups: readonly StormProgress[]): StormProgress {
  return {
    struck: groups.reduce((sum, { struck }) => sum + struck, 0),
    out: groups.reduce((sum, { out }) => sum + out, 0),
    behind: groups.reduce((sum, { behind }) => sum + behind, 0),
    lastChangeMs: Math.max(...groups.map(({ lastChangeMs }) => lastChangeMs)),
  };
}
