/**
 * What a server's processes hold, asked of the system. Linux only.
 *
 * @module
 */

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { childEnvironment } from "../program.ts";

/** One process of a server. */
export interface ProcessRecord {
  readonly pid: number;
  readonly residentBytes: number;
  readonly descriptors: number;
  /** Milliseconds so far in which it was ready to run, and others had the processors. */
  readonly waitedMs: number;
}

const SCRIPT = fileURLToPath(import.meta.resolve("./census.sh"));
const LIMIT_MS = 10_000;

/** A line for each of a million connections. */
const MAX_OUTPUT_BYTES = 8 * 1024 * 1024;

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

function ask(...args: string[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const options = { env: childEnvironment(), timeout: LIMIT_MS, maxBuffer: MAX_OUTPUT_BYTES };
    execFile("sh", [SCRIPT, ...args], options, (error, stdout) => {
      if (error === null) resolve(stdout.split("\n").filter((line) => line !== ""));
      else reject(error);
    });
  });
}
