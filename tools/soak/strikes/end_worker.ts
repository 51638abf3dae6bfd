import { setTimeout as sleep } from "node:timers/promises";
import {
  isThere,
  nextVictim,
  portsOf,
  record,
  signal,
  type StrikeContext,
  type StrikeOnce,
} from "./strike_context.ts";

const LOOK_MS = 200;

/** Milliseconds that a worker which was asked to end may take, on a busy machine. */
const ENDING_MS = 60_000;

/** Ends a worker at once. */
export const kill: StrikeOnce = async (context) => {
  const stopped = await stopOne(context);
  if (stopped === undefined) return;
  const { pid, ports } = stopped;
  context.strikes.add(record("killed", pid, ports.length), ports);
  signal(pid, "SIGKILL");
};

/** Asks a worker to end. */
export const ask: StrikeOnce = async (context) => {
  const stopped = await stopOne(context);
  if (stopped === undefined) return;
  const { pid, ports, fromMs } = stopped;
  const goodbye = context.strikes.addGoodbye(record("asked", pid, ports.length), ports, fromMs);
  signal(pid, "SIGTERM");
  signal(pid, "SIGCONT");
  // Without `net.ipv4.tcp_migrate_req` clients are lost that wait in its accept queue when it closes that.
  const endMs = performance.now() + ENDING_MS;
  while (isThere(pid) && performance.now() < endMs) {
    // It accepts the clients that waited while it stood still, before it stops to.
    goodbye.addPorts(await portsOf(pid, context));
    await sleep(LOOK_MS);
  }
  goodbye.end();
};

/** A worker that stands still, so that it accepts no client while its connections are listed. */
interface Stopped {
  readonly pid: number;
  readonly ports: readonly number[];
  /** When it was stopped. */
  readonly fromMs: number;
}

/** Stops a worker that is about to be ended, and lists its connections. */
async function stopOne(context: StrikeContext): Promise<Stopped | undefined> {
  const { watch, strikes } = context;
  const pid = await nextVictim(context);
  if (pid === undefined) return undefined;
  const before = await portsOf(pid, context);
  if (!signal(pid, "SIGSTOP")) return undefined;
  const fromMs = performance.now();
  watch.expectEnd(pid);
  // To list them takes seconds on a busy machine. If it hung before, the server may end it meanwhile.
  strikes.standsStill(pid, before);
  const ports = [...new Set([...before, ...await portsOf(pid, context)])];
  return { pid, ports, fromMs };
}
