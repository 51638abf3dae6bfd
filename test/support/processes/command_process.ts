/**
 * The project's commands as child processes, on the runtime that runs the test.
 *
 * @module
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import process from "node:process";
import { findProgram, PROJECT_ROOT, type RuntimeName } from "../../../cli/program.ts";
import { runCommand } from "./fixture.ts";

/** The end of a command. */
export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command under way. */
export class CommandProcess {
  readonly pid: number;
  /** It has ended, and all that it said is read. */
  readonly ended: Promise<Ended>;
  /** It has ended; what it started may go on, and talk. */
  readonly exited: Promise<void>;
  #stdout = "";
  #stderr = "";

  constructor(child: ChildProcess) {
    this.pid = child.pid!;
    child.stdout!.setEncoding("utf8").on("data", (text: string) => this.#stdout += text);
    child.stderr!.setEncoding("utf8").on("data", (text: string) => this.#stderr += text);
    this.exited = new Promise((resolve) => child.once("exit", () => resolve()));
    this.ended = new Promise((resolve) => {
      child.once("close", (status) => {
        resolve({ status, stdout: this.#stdout, stderr: this.#stderr });
      });
    });
  }

  /** Asks it to end, if it hasn't. */
  [Symbol.dispose](): void {
    if (isRunning(this.pid)) this.signal("SIGTERM");
  }

  /** Its output so far. */
  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  signal(name: "SIGINT" | "SIGTERM" | "SIGHUP" | "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
    process.kill(this.pid, name);
  }
}

/** Options for an unusual start of a command. */
export interface StartOptions {
  /** Variables that it gets besides this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** In a process group of its own, as a shell starts it. */
  readonly detached?: boolean;
}

/**
 * Starts a script in the project's folder.
 *
 * @param script Its path from there.
 */
export function startCommand(
  script: string,
  args: readonly (string | number)[],
  { env = {}, detached = false }: StartOptions = {},
): CommandProcess {
  const [program, ...rest] = [...runCommand, script, ...args.map(String)];
  return new CommandProcess(
    spawn(program!, rest, {
      cwd: PROJECT_ROOT,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      detached,
    }),
  );
}

/**
 * Starts a command of the project as a user does; Deno gets no more than its task's permissions.
 *
 * @param variables Variables that it gets besides the few that each program has.
 */
export function startTask(
  runtime: RuntimeName,
  task: "serve" | "pub" | "sub" | "top" | "trace",
  args: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): CommandProcess {
  const script = task === "serve" ? "server/main.ts" : `commands/${task}.ts`;
  const command = runtime === "deno" ? ["task", "-q", task] : ["run", script];
  const { PATH, HOME } = process.env;
  return new CommandProcess(
    spawn(findProgram(runtime).path, [...command, ...args], {
      cwd: PROJECT_ROOT,
      env: { PATH, HOME, NO_COLOR: "1", ...variables },
      stdio: ["ignore", "pipe", "pipe"],
    }),
  );
}

/** True if a process with that ID runs. It may have ended without its status having been read. */
export function isRunning(pid: number): boolean {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
  return /^[^Z\s]/.test(stdout.trim());
}

/** True if there is a process with that ID. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
