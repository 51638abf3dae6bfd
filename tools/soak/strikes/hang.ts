import { setTimeout as sleep } from "node:timers/promises";
import { between, isThere, nextVictim, portsOf, record, signal } from "./arena.ts";
import type { StrikeOnce } from "./arena.ts";

/** How long a process may take to end that was killed, on a busy machine. */
const ENDING_MS = 4_000;

/** Stops a worker for a while. */
export const hang: StrikeOnce = async (arena) => {
  const { watch, kills, random } = arena;
  const pid = await nextVictim(arena);
  if (pid === undefined) return;
  const hangMs = between(random, arena.hangMs.min, arena.hangMs.max);
  // Before it's stopped: that takes long on a busy machine, and a worker that hangs too long is ended.
  const before = await portsOf(pid, arena);
  const fromMs = Date.now();
  if (!signal(pid, "SIGSTOP")) return;
  kills.add(record("hung", pid, before.length), before);
  // The server ends it where more waits for it than may, or when it gives no sign of life for too long.
  watch.expectEnd(pid);
  const goesOnMs = performance.now() + hangMs;
  // Clients may have come meanwhile; none does any more.
  const ports = [...before, ...await portsOf(pid, arena)];
  kills.hangsWith(ports);
  await sleep(Math.max(0, goesOnMs - performance.now()));
  signal(pid, "SIGCONT");
  arena.onHung(ports, fromMs, Date.now());
  // It may have been killed, and not have ended yet.
  await sleep(Math.min(hangMs, ENDING_MS));
  if (isThere(pid)) {
    watch.expectNoEnd(pid);
    kills.goesOn();
  } else kills.add(record("killed", pid, before.length), ports);
};
