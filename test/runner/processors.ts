/**
 * How busy this machine's processors are, whoever keeps them so, and how much of that was children's.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { cpus } from "node:os";
import process from "node:process";

/** Times since the machine was started, of all processors together. */
interface Times {
  readonly idle: number;
  readonly all: number;
}

/** The part of the processors that has nothing to do. */
export class Processors {
  readonly #read: () => Times;
  #last: Times;

  constructor(read: () => Times = readTimes) {
    this.#read = read;
    this.#last = read();
  }

  /** The part of all their time that was idle since the last call, from 0 to 1. */
  takeIdleShare(): number {
    const now = this.#read();
    const all = now.all - this.#last.all;
    const share = all === 0 ? 0 : (now.idle - this.#last.idle) / all;
    this.#last = now;
    return share;
  }
}

function readTimes(): Times {
  let idle = 0;
  let all = 0;
  for (const { times } of cpus()) {
    idle += times.idle;
    for (const ms of Object.values(times)) all += ms;
  }
  return { idle, all };
}

/** Linux's unit of times: a hundredth of a second, whatever the kernel's own is. */
const TICKS_PER_SECOND = 100;

/**
 * Seconds that processors have worked for children of this process that have ended, and for those that
 * they have waited for themselves; `null` where the system doesn't say.
 */
export function childSeconds(): number | null {
  if (process.platform !== "linux") return null;
  // A program with fewer permissions than all may not look by itself.
  const { stdout } = spawnSync("cat", [`/proc/${process.pid}/stat`], { encoding: "utf8" });
  // Its name in parentheses, then fields between blanks.
  const fields = stdout.slice(stdout.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
}
