/**
 * What a server's processes have used.
 *
 * @module
 */

import { type ProcessRecord, readProcesses } from "../../harness/process_table.ts";

/** A process and its descendants, added up. */
export interface ProcessUsage {
  /** CPU time since they started; where the system counts in ticks, to a hundredth of a second. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** Each process's own peak; `null` where the system doesn't keep it. */
  readonly peakBytes: number | null;
}

/**
 * Looks at a process of this machine; takes some hundredths of a second.
 *
 * @returns `null` where there is no such process, or it can't be looked at.
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
