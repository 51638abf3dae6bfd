import { setTimeout as sleep } from "node:timers/promises";
import { between, isAlive, nextVictim, portsOf, record, signal } from "./strike_context.ts";
import type { StrikeOnce } from "./strike_context.ts";

/** Milliseconds for a killed process to end, on a busy machine. */
const ENDING_MS = 4_000;

/** Stops a worker for a while. */
export const hang: StrikeOnce = async (context) => {
  const { watch, strikes, random } = context;
  const pid = await nextVictim(context);
  if (pid === undefined) return;
  const hangMs = between(random, context.hangMs.min, context.hangMs.max);
  // List the connections before it's stopped: that takes long on a busy machine, and the server ends a
  // worker that hangs too long.
  const before = await portsOf(pid, context);
  const fromMs = Date.now();
  if (!signal(pid, "SIGSTOP")) return;
  strikes.add(record("hung", pid, before.length), before);
  // The server ends it if too much waits for it, or if it gives no sign of life for too long.
  watch.expectEnd(pid);
  const stoppedMs = performance.now();
  // Clients may have connected meanwhile; from now on none can.
  const ports = [...before, ...await portsOf(pid, context)];
  strikes.hangsWith(ports);
  await sleep(Math.max(0, stoppedMs + hangMs - performance.now()));
  signal(pid, "SIGCONT");
  context.onHung(ports, fromMs, Date.now());
  // The server may have killed it, and it may not have ended yet. On a busy machine it hung for longer than
  // it was to: listing its connections took that long.
  await sleep(Math.min(performance.now() - stoppedMs, ENDING_MS));
  if (await isAlive(pid, context)) {
    watch.expectNoEnd(pid);
    strikes.goesOn();
  } else strikes.add(record("killed", pid, before.length), ports);
};
