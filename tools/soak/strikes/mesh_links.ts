/**
 * Finds the links between a server's workers, and cuts one from outside. Linux only.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { runTool } from "../../harness/run_tool.ts";

const CUTTER = fileURLToPath(import.meta.resolve("./cut_link.pl"));

/** The shell reads /proc, because Deno doesn't let a sandboxed program do so. */
const LOOK = `cat "/proc/$1/net/unix"; ls -l "/proc/$1/fd"`;

/**
 * A worker's descriptors of the links that other workers opened to it.
 *
 * @returns an empty list if there is no such process, or if the system doesn't show them.
 */
export async function linksTo(pid: number): Promise<number[]> {
  const seen = await runTool("sh", "-c", LOOK, "sh", String(pid)).catch(() => "");
  // Connected sockets (03) with the path of the listener that accepted them.
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
 * Cuts a link by a worker's descriptor. It needs Perl, and the right to trace the process.
 *
 * @returns (resolves) the reason if that isn't allowed or possible here.
 */
export async function cutLink(pid: number, descriptor: number): Promise<string | undefined> {
  try {
    await runTool("perl", CUTTER, String(pid), String(descriptor));
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
