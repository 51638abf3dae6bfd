import { setTimeout as sleep } from "node:timers/promises";
import { descriptorLimitOf, limitDescriptors } from "./descriptor_limit.ts";
import {
  between,
  ImpossibleStrike,
  isThere,
  nextVictim,
  portsOf,
  type StrikeContext,
} from "./strike_context.ts";
import { record, type StrikeOnce } from "./strike_context.ts";

/** A limit below the descriptors of any process. */
const NONE = 3;

const MIN_MS = 1_000;
const MAX_MS = 4_000;

const LOOK_MS = 500;

/** Milliseconds until a worker that has just been started has clients. */
const PATIENCE_MS = 20_000;

/** Denies a worker further descriptors for a while, as if all were used up. */
export const exhaust: StrikeOnce = async (context) => {
  const victim = await serving(context);
  if (victim === undefined) return;
  const { pid, ports, fromMs } = victim;
  let before: number | undefined;
  try {
    before = await descriptorLimitOf(pid);
    context.strikes.addShortage(ports, fromMs);
    await limitDescriptors(pid, NONE);
    context.strikes.note(record("exhausted", pid, ports.length));
    await sleep(between(context.random, MIN_MS, MAX_MS));
  } catch (error) {
    if (isThere(pid)) throw new ImpossibleStrike((error as Error).message);
  } finally {
    // The worker may have ended by itself, which the watch reports.
    if (before !== undefined) {
      await limitDescriptors(pid, before).catch(() => {});
      context.strikes.endShortage();
    }
  }
};

/** Waits for a worker that serves clients: without descriptors none can start. */
async function serving(context: StrikeContext) {
  const endMs = performance.now() + PATIENCE_MS;
  while (performance.now() < endMs) {
    const pid = await nextVictim(context);
    if (pid === undefined) return undefined;
    const fromMs = performance.now();
    const ports = await portsOf(pid, context);
    if (ports.length > 0) return { pid, ports, fromMs };
    await sleep(LOOK_MS);
  }
  return undefined;
}
