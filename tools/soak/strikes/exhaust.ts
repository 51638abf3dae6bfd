import { setTimeout as sleep } from "node:timers/promises";
import { descriptorLimitOf, limitDescriptors } from "./descriptor_limit.ts";
import { type Arena, between, Impossible, isThere, nextVictim, portsOf } from "./arena.ts";
import { record, type StrikeOnce } from "./arena.ts";

/** Fewer than any process has. */
const NONE = 3;

const MIN_MS = 1_000;
const MAX_MS = 4_000;

const LOOK_MS = 500;

/** A worker that has just been started has clients by then. */
const PATIENCE_MS = 20_000;

/** Lets a worker get no further descriptor for a while, as if all were used up. */
export const exhaust: StrikeOnce = async (arena) => {
  const victim = await serving(arena);
  if (victim === undefined) return;
  const { pid, ports, fromMs } = victim;
  let before: number | undefined;
  try {
    before = await descriptorLimitOf(pid);
    arena.kills.addShortage(ports, fromMs);
    await limitDescriptors(pid, NONE);
    arena.kills.note(record("exhausted", pid, ports.length));
    await sleep(between(arena.random, MIN_MS, MAX_MS));
  } catch (error) {
    if (isThere(pid)) throw new Impossible((error as Error).message);
  } finally {
    // It may have ended by itself, which whoever watches it says.
    if (before !== undefined) {
      await limitDescriptors(pid, before).catch(() => {});
      arena.kills.endShortage();
    }
  }
};

/** A worker that serves: without descriptors none comes up. */
async function serving(arena: Arena) {
  const endMs = performance.now() + PATIENCE_MS;
  while (performance.now() < endMs) {
    const pid = await nextVictim(arena);
    if (pid === undefined) return undefined;
    const fromMs = performance.now();
    const ports = await portsOf(pid, arena);
    if (ports.length > 0) return { pid, ports, fromMs };
    await sleep(LOOK_MS);
  }
  return undefined;
}
