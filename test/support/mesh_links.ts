/**
 * The links between a server's workers, as the system shows them, and a way to cut one from outside.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const cutter = fileURLToPath(import.meta.resolve("./cut_link.pl"));

/** The descriptors of the links that other workers have dialled to a worker. */
export function linksTo(pid: number): number[] {
  const look = `cat "/proc/$1/net/unix"; ls -l "/proc/$1/fd"`;
  const { stdout } = spawnSync("sh", ["-c", look, "sh", String(pid)], { encoding: "utf8" });
  // Connected (03), with the path of the listener that accepted it.
  const inodes = new Set(
    [...stdout.matchAll(/ 0001 03 +(\d+) \S*worker-\d+-(\d+)$/gm)]
      .filter(([, , owner]) => Number(owner) === pid)
      .map(([, inode]) => inode),
  );
  return [...stdout.matchAll(/ (\d+) -> socket:\[(\d+)\]/g)]
    .filter(([, , inode]) => inodes.has(inode))
    .map(([, descriptor]) => Number(descriptor));
}

/**
 * Cuts a link at a worker's descriptor.
 *
 * @returns Why that isn't allowed or possible here, if it isn't.
 */
export function cutLink(pid: number, descriptor: number): string | undefined {
  const { status, stderr, error } = spawnSync("perl", [cutter, String(pid), String(descriptor)], {
    encoding: "utf8",
  });
  return status === 0 ? undefined : error?.message ?? stderr.trim();
}
