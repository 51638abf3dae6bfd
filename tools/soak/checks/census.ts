/**
 * What a server's processes hold, asked of the system. Linux only.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { runTool } from "./run_tool.ts";

/** One process of a server. */
export interface ProcessRecord {
  readonly pid: number;
  readonly residentBytes: number;
  readonly descriptors: number;
  /** Milliseconds so far in which it was ready to run, and others had the processors. */
  readonly waitedMs: number;
}

const SCRIPT = fileURLToPath(import.meta.resolve("./census.sh"));

/**
 * A server's process and its descendants; takes some hundredths of a second.
 *
 * @returns none where there is no such process.
 * @throws {Error} (rejects) if the system can't be asked.
 */
export async function processesOf(pid: number): Promise<ProcessRecord[]> {
  const lines = await ask("processes", String(pid));
  return lines.map((line) => {
    const [pid = 0, residentKib = 0, descriptors = 0, waitedMs = 0] = line.split(" ").map(Number);
    return { pid, residentBytes: residentKib * 1024, descriptors, waitedMs };
  });
}

/**
 * The clients' ports of a process's connections on `port`.
 *
 * @throws {Error} (rejects) if the system can't be asked.
 */
export async function peersOf(pid: number, port: number): Promise<number[]> {
  return (await ask("peers", String(pid), String(port))).map(Number);
}

async function ask(...args: string[]): Promise<string[]> {
  const said = await runTool("sh", SCRIPT, ...args);
  return said.split("\n").filter((line) => line !== "");
}
