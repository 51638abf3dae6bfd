/**
 * Limits that follow from other limits, from the machine, or from the number of processes.
 *
 * @module
 */

import { maxConnectionsFor } from "../../host/capacity.ts";
import { DEFAULT_LIMITS, type Limits, UNKNOWN_MEMORY_BYTES } from "../limits.ts";

/** Seconds' worth of {@linkcode Limits.acceptRate} that may come at once. */
export const ACCEPT_BURST_SECONDS = 2;

/** The default of {@linkcode Limits.acceptRate}. */
export function acceptRateFor(maxConnections: number): number {
  return Math.max(10_000, Math.ceil(maxConnections / ACCEPT_BURST_SECONDS));
}

/** The server's default share of the memory of the machine or the container. */
const MEMORY_SHARE = 0.75;

/** The least that {@linkcode Limits.maxMemoryBytes} may be: a runtime and its program take 60 MB. */
const MIN_MEMORY_BYTES = 128 * 1024 * 1024;

/** Bytes of the server's memory for a supervisor; the rest is divided among the workers. */
export const SUPERVISOR_BYTES = 64 * 1024 * 1024;

/**
 * Bytes that may wait for one connection for {@linkcode Limits.softPendingMs}: half of those that may wait at
 * once, if that is less than {@linkcode Limits.softPendingBytes}.
 */
export function softPendingBytesOf(
  { softPendingBytes, maxPendingBytes }: Pick<Limits, "softPendingBytes" | "maxPendingBytes">,
): number {
  return Math.min(softPendingBytes, maxPendingBytes / 2);
}

/**
 * The least that {@linkcode Limits.maxMemoryBytes} may be.
 *
 * @param workers The number of processes that serve together.
 */
export function minMemoryBytes(workers: number): number {
  return workers === 1 ? MIN_MEMORY_BYTES : SUPERVISOR_BYTES + workers * MIN_MEMORY_BYTES;
}

/**
 * The default of {@linkcode Limits.maxMemoryBytes}.
 *
 * @param usableBytes The memory of the machine, or of the container if that is less; `undefined` if unknown.
 */
export function maxMemoryFor(usableBytes: number | undefined, workers: number): number {
  const bytes = usableBytes === undefined ? UNKNOWN_MEMORY_BYTES : usableBytes * MEMORY_SHARE;
  return Math.max(Math.floor(bytes), minMemoryBytes(workers));
}

/** The default share of each process's memory that connections may make it hold. */
const TOTAL_PENDING_SHARE = 0.25;

/** The default of {@linkcode Limits.maxTotalPendingBytes}. */
export function maxTotalPendingFor(maxMemoryBytes: number): number {
  const share = Math.floor(maxMemoryBytes * TOTAL_PENDING_SHARE);
  return Math.min(DEFAULT_LIMITS.maxTotalPendingBytes, share);
}

/**
 * The limits of each of `workers` processes. Memory is divided among them. They lend each other connections,
 * rates and topics, so those limits hold for all together.
 */
export function workerLimits(limits: Limits, workers: number): Limits {
  const maxTotalPendingBytes = Math.max(1, Math.floor(limits.maxTotalPendingBytes / workers));
  const historyTotalBytes = Math.max(1, Math.floor(limits.historyTotalBytes / workers));
  const maxMemoryBytes = Math.floor((limits.maxMemoryBytes - SUPERVISOR_BYTES) / workers);
  return { ...limits, maxTotalPendingBytes, maxMemoryBytes, historyTotalBytes };
}

/** The most connections that wait to be admitted, if the descriptor limit isn't known. */
const MAX_HELD = 1_024;

/**
 * Connections that one of several processes may have: as many as its descriptors allow. Connections that
 * wait until the other processes have said whether there is room count too.
 */
export function ownConnectionsFor(
  limits: Limits,
  descriptorLimit: number | undefined,
  processes: number,
): number {
  if (descriptorLimit === undefined) return limits.maxConnections + MAX_HELD;
  return maxConnectionsFor(descriptorLimit, processes);
}
