/**
 * The checks of a server when the load has ended: it has freed and restored everything, still answers, and stops.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../harness/random.ts";
import { attackWhileStopping, type SharedAttackContext } from "./attacks/attack_rotation.ts";
import type { Faults } from "./checks/faults.ts";
import type { Watch } from "./checks/watch.ts";
import type { StopRecord } from "./report.ts";
import type { SoakedServer } from "./soak_plan.ts";

/** Milliseconds for a server to close its clients' descriptors, and to have all its workers again. */
const RELEASE_PATIENCE_MS = 20_000;

/** Descriptors that a runtime opens for its own use when it is first needed. */
const OWN_DESCRIPTORS = 4;

/** Milliseconds of attack before the server is asked to stop; the attack goes on after that. */
const STOP_ATTACK_LEAD_MS = 1_000;

/** Waits until no more descriptors are open than before the load. Resolves with the number of open ones. */
export async function checkDescriptors(
  watch: Watch,
  before: number,
  faults: Faults,
): Promise<number> {
  const open = () => watch.samples.at(-1)!.descriptors;
  await untilReleased(() => open() <= before + OWN_DESCRIPTORS);
  const after = open();
  if (after > before + OWN_DESCRIPTORS) {
    faults.add("aftermath", `${after} descriptors are open, ${before} were before the load`);
  }
  return after;
}

/** Waits until as many workers are there as before the load. */
export async function checkWorkers(watch: Watch, before: number, faults: Faults): Promise<void> {
  await untilReleased(() => watch.workers.length === before);
  if (watch.workers.length !== before) {
    faults.add("aftermath", `${watch.workers.length} workers are there, ${before} were`);
  }
}

/**
 * Stops a server during an attack that makes it answer more than it can.
 *
 * @returns `null` if the server isn't ours to stop.
 */
export async function checkStop(
  server: SoakedServer,
  context: SharedAttackContext,
  random: Random,
  faults: Faults,
): Promise<StopRecord | null> {
  if (server.stop === null) return null;
  const end = new AbortController();
  const attack = attackWhileStopping(context, random, end.signal);
  await sleep(STOP_ATTACK_LEAD_MS);
  const stop = await server.stop();
  end.abort();
  await attack;
  const { status, took_ms } = stop;
  if (status !== 0) {
    faults.add("aftermath", `the server ended with status ${status} when asked to stop`);
  }
  if (took_ms > server.stopLimitMs) {
    const took = `${(took_ms / 1000).toFixed(1)} s`;
    const promised = server.stopLimitMs / 1000;
    faults.add("aftermath", `the server took ${took} to stop, ${promised} s are promised`);
  }
  return stop;
}

async function untilReleased(isReleased: () => boolean): Promise<void> {
  const endMs = performance.now() + RELEASE_PATIENCE_MS;
  while (!isReleased() && performance.now() < endMs) await sleep(200);
}
