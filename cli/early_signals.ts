/**
 * Catches SIGHUP and SIGUSR2, which would end the process, from the import of this module on.
 *
 * @module
 */

import process from "node:process";

/** Signals that ask the server for something, but never to end. */
export type EarlySignal = "SIGHUP" | "SIGUSR2";

const pending = new Set<EarlySignal>();
const listeners = new Map<EarlySignal, () => void>();

for (const signal of ["SIGHUP", "SIGUSR2"] as const) {
  process.on(signal, () => {
    const listener = listeners.get(signal);
    if (listener === undefined) pending.add(signal);
    else listener();
  });
}

/** Calls `listener` on each such signal from now on, and at once if one arrived before. */
export function listenFor(signal: EarlySignal, listener: () => void): void {
  listeners.set(signal, listener);
  if (pending.delete(signal)) listener();
}
