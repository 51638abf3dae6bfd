/**
 * A process and its descendants, and what they use, asked of the system.
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { runTool } from "./run_tool.ts";

/** One process. */
export interface ProcessRecord {
  readonly pid: number;
  /** CPU time since it started; where the system counts in ticks, to a hundredth of a second. */
  readonly cpuMs: number;
  readonly residentBytes: number;
  /** The most that it ever had resident; `null` where the system doesn't keep that. */
  readonly peakBytes: number | null;
  /** 0 where the system doesn't tell, as in the next. */
  readonly descriptors: number;
  /** Milliseconds so far in which it was ready to run, and others had the processors. */
  readonly waitedMs: number;
}

const SCRIPT = fileURLToPath(import.meta.resolve("./process_table.sh"));

/** A look takes some hundredths of a second, where the machine isn't busy. */
const LIMIT_MS = 10_000;

/**
 * A process and its descendants.
 *
 * @returns none where there is no such process.
 * @throws {Error} (rejects) if the system can't be asked.
 */
export async function processesOf(pid: number): Promise<ProcessRecord[]> {
  return parseProcesses(await runTool("sh", SCRIPT, String(pid)));
}

/**
 * The same, while this process does nothing else.
 *
 * @returns none also where the system can't be asked.
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

/** What `process_table.sh` prints, as records. */
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
