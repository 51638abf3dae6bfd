/**
 * How busy this machine's processors are, whoever keeps them so.
 *
 * @module
 */

import { cpus } from "node:os";

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
