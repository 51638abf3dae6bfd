/**
 * Reads and sets the descriptor limit of another process. Linux only.
 *
 * @module
 */

import { runTool } from "../../harness/run_tool.ts";

/**
 * The number of descriptors that a process may have.
 *
 * @throws {Error} (rejects) if the system can't be asked.
 */
export async function descriptorLimitOf(pid: number): Promise<number> {
  const show = ["--nofile", "--output", "SOFT", "--noheadings", "--raw"];
  return Number(await runTool("prlimit", "--pid", String(pid), ...show));
}

/**
 * Sets the descriptor limit of a process. It keeps the descriptors that it has.
 *
 * @throws {Error} (rejects) if that isn't allowed, or there is no such process.
 */
export async function limitDescriptors(pid: number, descriptors: number): Promise<void> {
  await runTool("prlimit", "--pid", String(pid), `--nofile=${descriptors}:`);
}
