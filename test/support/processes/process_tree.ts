/**
 * Processes, and those that they have started.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import process from "node:process";

/** A process. */
export interface Listed {
  readonly pid: number;
  readonly command: string;
}

/** A process's children, and theirs, with their command lines. */
export function descendants(pid: number): Listed[] {
  const { stdout } = spawnSync("ps", ["-ww", "-A", "-o", "pid=,ppid=,args="], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  const all = stdout.split("\n").map((line) => /^ *(\d+) +(\d+) (.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, own, parent, command]) => ({
      pid: Number(own),
      parent: Number(parent),
      command: command!,
    }));
  const below = (root: number): Listed[] =>
    all.filter(({ parent }) => parent === root).flatMap((one) => [one, ...below(one.pid)]);
  return below(pid);
}

/** Signals processes of which some may have ended. */
export function signalAll(pids: readonly number[], name: "SIGTERM" | "SIGKILL"): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // It has ended.
    }
  }
}
