/**
 * Reads the CPU time and memory that a server's processes have used.
 *
 * @module
 */

import { type ProcessRecord, readProcesses } from "../../harness/process_table.ts";

/** The usage of a process and its descendants, added up. */
export interface ProcessUsage {
  /** CPU time since they started, in seconds; to a hundredth if the system counts in ticks. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** The sum of each process's own peak; `null` if the system doesn't record it. */
  readonly peakBytes: number | null;
}

/**
 * Reads the usage of a process on this machine. Takes some hundredths of a second.
 *
 * @returns `null` if there is no such process, or if it may not be read.
 */
export function readProcessUsage(pid: number): ProcessUsage | null {
  return usageOf(readProcesses(pid));
}

/** Adds up processes; `null` for none. */
export function usageOf(processes: readonly ProcessRecord[]): ProcessUsage | null {
  if (processes.length === 0) return null;
  const total = (pick: (one: ProcessRecord) => number | null) =>
    processes.reduce((sum, one) => sum + (pick(one) ?? 0), 0);
  const hasPeaks = processes.every(({ peakBytes }) => peakBytes !== null);
  return {
    cpuSeconds: total(({ cpuMs }) => cpuMs) / 1000,
    residentBytes: total(({ residentBytes }) => residentBytes),
    peakBytes: hasPeaks ? total(({ peakBytes }) => peakBytes) : null,
  };
}
