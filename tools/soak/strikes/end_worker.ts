import { setTimeout as sleep } from "node:timers/promises";
import { peersOf } from "../checks/peers.ts";
import { isThere, nextVictim, record, signal, type StrikeOnce } from "./strike_context.ts";

const LOOK_MS = 200;

/** Milliseconds that a worker which was asked to end may take, on a busy machine. */
const ENDING_MS = 60_000;

/** Ends a worker at once. */
export const kill: StrikeOnce = async (context) => {
  const { watch, strikes, port } = context;
  const pid = await nextVictim(context);
  // Stop it first, so that it accepts no client while its connections are listed.
  if (pid === undefined || !signal(pid, "SIGSTOP")) return;
  watch.expectEnd(pid);
  try {
    const ports = await peersOf(pid, port);
    strikes.add(record("killed", pid, ports.length), ports);
  } finally {
    signal(pid, "SIGKILL");
  }
};

/** Asks a worker to end. */
export const ask: StrikeOnce = async (context) => {
  const { watch, strikes, port } = context;
  const pid = await nextVictim(context);
  if (pid === undefined || !signal(pid, "SIGSTOP")) return;
  watch.expectEnd(pid);
  const fromMs = performance.now();
  let over = () => {};
  try {
    const ports = await peersOf(pid, port);
    over = strikes.addGoodbye(record("asked", pid, ports.length), ports, fromMs);
  } finally {
    signal(pid, "SIGTERM");
    signal(pid, "SIGCONT");
  }
  // Without `net.ipv4.tcp_migrate_req` clients are lost that wait in its accept queue when it closes that.
  const endMs = performance.now() + ENDING_MS;
  while (isThere(pid) && performance.now() < endMs) await sleep(LOOK_MS);
  over();
};
