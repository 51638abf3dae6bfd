/**
 * Reads what a process and its descendants use from the system.
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { runTool } from "./run_tool.ts";

/** One process. */
export interface ProcessRecord {
  readonly pid: number;
  /** CPU time since it started, in milliseconds; in steps of 10 ms if the system counts in ticks. */
  readonly cpuMs: number;
  readonly residentBytes: number;
  /** The most bytes that it ever had resident; `null` if the system doesn't record it. */
  readonly peakBytes: number | null;
  /** Open descriptors; 0 if the system doesn't tell. */
  readonly descriptors: number;
  /**
   * Milliseconds so far that it was ready to run, but other processes had the processors; 0 if the system
   * doesn't tell.
   */
  readonly waitedMs: number;
}

const SCRIPT = fileURLToPath(import.meta.resolve("./process_table.sh"));

/** Milliseconds for the script, which takes some hundredths of a second on an idle machine. */
const LIMIT_MS = 10_000;

/**
 * A process and its descendants.
 *
 * @returns an empty list if there is no such process.
 * @throws {Error} (rejects) if the system can't be asked.
 */
export async function processesOf(pid: number): Promise<ProcessRecord[]> {
  return parseProcesses(await runTool("sh", SCRIPT, String(pid)));
}

/**
 * The same, but blocks this process until the answer is there.
 *
 * @returns an empty list also if the system can't be asked.
 */
export function readProcesses(pid: number): ProcessRecord[] {
  const options = { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], timeout: LIMIT_MS };
  try {
    const said = execFileSync("sh", [SCRIPT, String(pid)], options as { encoding: "utf8" });
    return parseProcesses(said);
  } catch {
    return [];
  }
}

/** Parses the output of `process_table.sh`. */
export function parseProcesses(text: string): ProcessRecord[] {
  return text.split("\n").filter((line) => line !== "").map((line) => {
    const valueOf = (name: string) => {
      const value = new RegExp(` ${name}=(\\d+)`).exec(line)?.[1];
      return value === undefined ? null : Number(value);
    };
    const peakKib = valueOf("peak_kib");
    return {
      pid: Number.parseInt(line),
      cpuMs: valueOf("cpu_ms") ?? 0,
      residentBytes: (valueOf("resident_kib") ?? 0) * 1024,
      peakBytes: peakKib === null ? null : peakKib * 1024,
      descriptors: valueOf("descriptors") ?? 0,
      waitedMs: valueOf("waited_ms") ?? 0,
    };
  });
}
