/**
 * A system clock for one server, which a test can set while it runs.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(import.meta.resolve("./settable_clock.c"));

/** The reason why no clock can be set here; `false` if one can. */
export const skipSetting = process.platform !== "linux"
  ? "only Linux preloads a library that reads the clock"
  : spawnSync("cc", ["--version"]).status !== 0
  ? "there is no C compiler (cc), which makes the clock"
  : false;

/** A clock that reads as the machine's until it's set. */
export class SettableClock {
  readonly #folder: string;
  readonly #file: number;

  constructor() {
    this.#folder = mkdtempSync("/tmp/hotwheels-clock-");
    const library = `${this.#folder}/clock.so`;
    const { status, stderr } = spawnSync("cc", ["-shared", "-fPIC", "-o", library, SOURCE]);
    if (status !== 0) throw new Error(`the clock can't be made: ${stderr}`);
    this.#file = openSync(`${this.#folder}/ahead`, "w+");
    this.setAhead(0);
  }

  /** The words before a command that make it run by this clock. */
  get prefix(): readonly string[] {
    const folder = this.#folder;
    return ["env", `LD_PRELOAD=${folder}/clock.so`, `SETTABLE_CLOCK=${folder}/ahead`];
  }

  /** Sets it to so many whole seconds after the machine's. */
  setAhead(seconds: number): void {
    writeSync(this.#file, new BigInt64Array([BigInt(seconds)]), 0, 8, 0);
  }

  dispose(): void {
    closeSync(this.#file);
    rmSync(this.#folder, { recursive: true });
  }
}
