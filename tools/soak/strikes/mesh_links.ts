/**
 * The links between a server's workers, as the system shows them, and a way to cut one from outside.
 * Linux only.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { runTool } from "../../harness/run_tool.ts";

const CUTTER = fileURLToPath(import.meta.resolve("./cut_link.pl"));

/** Deno doesn't let a sandboxed program look into /proc, so the shell is asked. */
const LOOK = `cat "/proc/$1/net/unix"; ls -l "/proc/$1/fd"`;

/**
 * The descriptors of the links that other workers have dialled to a worker.
 *
 * @returns none where there is no such process, or the system doesn't show them.
 */
export async function linksTo(pid: number): Promise<number[]> {
  const seen = await runTool("sh", "-c", LOOK, "sh", String(pid)).catch(() => "");
  // Connected (03), with the path of the listener that accepted it.
  const inodes = new Set(
    [...seen.matchAll(/ 0001 03 +(\d+) \S*worker-\d+-(\d+)$/gm)]
      .filter(([, , owner]) => Number(owner) === pid)
      .map(([, inode]) => inode),
  );
  return [...seen.matchAll(/ (\d+) -> socket:\[(\d+)\]/g)]
    .filter(([, , inode]) => inodes.has(inode))
    .map(([, descriptor]) => Number(descriptor));
}

/**
 * Cuts a link at a worker's descriptor. It takes Perl, and the right to trace the process.
 *
 * @returns (resolves) why that isn't allowed or possible here, if it isn't.
 */
export async function cutLink(pid: number, descriptor: number): Promise<string | undefined> {
  try {
    await runTool("perl", CUTTER, String(pid), String(descriptor));
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
