/**
 * How many descriptors a process may have, set from outside. Linux only.
 *
 * @module
 */

import { runTool } from "../../harness/run_tool.ts";

/**
 * How many descriptors a process may have.
 *
 * @throws {Error} (rejects) if the system can't be asked.
 */
export async function descriptorLimitOf(pid: number): Promise<number> {
  const show = ["--nofile", "--output", "SOFT", "--noheadings", "--raw"];
  return Number(await runTool("prlimit", "--pid", String(pid), ...show));
}

/**
 * Lets a process have so many descriptors; those that it has it keeps.
 *
 * @throws {Error} (rejects) if that isn't allowed, or there is no such process.
 */
export async function limitDescriptors(pid: number, descriptors: number): Promise<void> {
  await runTool("prlimit", "--pid", String(pid), `--nofile=${descriptors}:`);
}
