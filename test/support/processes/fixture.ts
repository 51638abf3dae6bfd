/**
 * Child processes of tests, on the runtime that runs the test.
 *
 * @module
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import process from "node:process";
import { until } from "../until.ts";

/** The command that runs a script on this runtime, before the script's name. */
export const runCommand: readonly string[] = [
  process.execPath,
  "run",
  ...("deno" in process.versions ? ["--no-check", "-A"] : []),
];

/** A child process that talks in lines. */
export class Fixture {
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  #errors = "";
  /** It has ended, and all it said is read. */
  readonly exited: Promise<void>;
  #isOver = false;
  #status: number | null = null;

  /**
   * @param script Its path.
   * @param descriptors The descriptors that it may have; by default as many as this process.
   * @param prefix The words before the command, such as `unshare --net`.
   */
  constructor(
    script: string,
    args: readonly string[] = [],
    descriptors?: number,
    prefix: readonly string[] = [],
  ) {
    const command = [...prefix, ...runCommand, script, ...args];
    this.#child = descriptors === undefined
      ? spawn(command[0]!, command.slice(1))
      : spawn("sh", ["-c", `ulimit -n ${descriptors}; exec "$@"`, "sh", ...command]);
    createInterface({ input: this.#child.stdout! }).on("line", (line) => this.#lines.push(line));
    this.#child.stderr!.on("data", (text) => this.#errors += text);
    this.exited = new Promise((resolve) => {
      this.#child.on("close", (status) => {
        this.#isOver = true;
        this.#status = status;
        resolve();
      });
    });
  }

  /** Its standard error so far. */
  get errors(): string {
    return this.#errors;
  }

  /** True if it has ended, and all its output is read. */
  get hasEnded(): boolean {
    return this.#isOver;
  }

  /** The next line of its output. */
  async line(): Promise<string> {
    await until("the child process says something", () => this.#lines.length > 0 || this.#isOver);
    const line = this.#lines.shift();
    if (line === undefined) throw new Error(`the child process ended: ${this.#errors}`);
    return line;
  }

  /** Writes one line to its input. */
  send(line: string): void {
    this.#child.stdin!.write(`${line}\n`);
  }

  /**
   * Ends its input, and waits until it ends by itself.
   *
   * @throws {Error} (rejects) where it fails, or had ended before.
   */
  async finished(): Promise<void> {
    if (this.#isOver) throw new Error(`the child process ended: ${this.#errors}`);
    this.#child.stdin!.end();
    await this.exited;
    if (this.#status !== 0) throw new Error(`status ${this.#status}: ${this.#errors}`);
  }

  /** Ends it, if it is still there. */
  async stop(): Promise<void> {
    if (!this.#isOver) this.#child.kill("SIGKILL");
    await this.exited;
  }
}

/** Runs a script to its end, while this process does nothing else. */
export function runScript(script: string, args: readonly string[]): void {
  const command = [...runCommand, script, ...args];
  const { status, stderr } = spawnSync(command[0]!, command.slice(1), { timeout: 20_000 });
  if (status !== 0) throw new Error(`${script} ended with status ${status}: ${stderr}`);
}
