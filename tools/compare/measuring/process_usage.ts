/**
 * What a server's processes have used.
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** A process and its descendants, added up. */
export interface ProcessUsage {
  /** CPU time since they started; where the system counts in ticks, to a hundredth of a second. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** Each process's own peak; `null` where the system doesn't keep it. */
  readonly peakBytes: number | null;
}

const SCRIPT = fileURLToPath(import.meta.resolve("./process_usage.sh"));

/**
 * Looks at a process of this machine; takes some hundredths of a second.
 *
 * @returns `null` where there is no such process, or it can't be looked at.
 */
export function readProcessUsage(pid: number): ProcessUsage | null {
  try {
    const options = { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], timeout: 10_000 };
    return parseUsage(execFileSync("sh", [SCRIPT, String(pid)], options as { encoding: "utf8" }));
  } catch {
    return null;
  }
}

/** Adds up what the script says; `null` for nothing. */
export function parseUsage(text: string): ProcessUsage | null {
  const processes = text.split("\n").filter((line) => line !== "").map((line) => ({
    cpuMs: valueOf(line, "cpu_ms"),
    residentKib: valueOf(line, "resident_kib"),
    peakKib: valueOf(line, "peak_kib"),
  }));
  if (processes.length === 0) return null;
  const total = (pick: (one: typeof processes[number]) => number | null) =>
    processes.reduce((sum, one) => sum + (pick(one) ?? 0), 0);
  const hasPeaks = processes.every(({ peakKib }) => peakKib !== null);
  return {
    cpuSeconds: total(({ cpuMs }) => cpuMs) / 1000,
    residentBytes: total(({ residentKib }) => residentKib) * 1024,
    peakBytes: hasPeaks ? total(({ peakKib }) => peakKib) * 1024 : null,
  };
}

function valueOf(line: string, name: string): number | null {
  const value = new RegExp(` ${name}=(\\d+)`).exec(line)?.[1];
  return value === undefined ? null : Number(value);
}
