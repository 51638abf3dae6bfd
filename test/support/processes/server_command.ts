/**
 * The server's command as a process, on either runtime, whichever runs the test.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { findProgram, PROJECT_ROOT, type RuntimeName } from "../../../cli/program.ts";
import { directCommand as commandOf } from "../../../tools/harness/server_process.ts";
import type { Target } from "../clients/janus_client.ts";
import { until } from "../until.ts";

/** The end of a command. */
export interface Exit {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command line that runs the server directly; see `tools/harness/server_process.ts`. */
export function directCommand(runtime: RuntimeName): readonly string[] {
  return commandOf(runtime, findProgram(runtime));
}

/** A running server command. */
export class ServerCommand implements Target {
  readonly hostname = "127.0.0.1";
  readonly #child: ChildProcess;
  #stdout = "";
  #stderr = "";
  #exit: Exit | undefined;

  /**
   * Starts it.
   *
   * @param command The words before the server's flags.
   */
  constructor(command: readonly string[], flags: readonly string[]) {
    const [program, ...args] = [...command, ...flags];
    this.#child = spawn(program!, args, {
      cwd: PROJECT_ROOT,
      env: { PATH: process.env["PATH"], HOME: process.env["HOME"], NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child.stdout!.setEncoding("utf8").on("data", (text: string) => this.#stdout += text);
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => this.#stderr += text);
    this.#child.on("close", (status, signal) => {
      this.#exit = { status, signal, stdout: this.#stdout, stderr: this.#stderr };
    });
  }

  /**
   * Starts it on a port that the system chooses, of the loopback network, unless the flags have another
   * port or host; it listens. If all its workers shall die it needs a port of {@linkcode lastingPort}.
   */
  static async listening(
    runtime: RuntimeName,
    flags: readonly string[] = [],
    command: readonly string[] = directCommand(runtime),
  ): Promise<ServerCommand> {
    const host = flags.includes("--host") ? [] : ["--host", "127.0.0.1"];
    const port = flags.includes("--port") ? [] : ["--port", "0"];
    const server = new ServerCommand(command, [...host, ...port, ...flags]);
    await until(
      "the server listens",
      () => server.#stdout.includes("\n") || server.#exit !== undefined,
      30_000,
    );
    if (server.#exit !== undefined) throw new Error(`it ended instead: ${server.#stderr}`);
    return server;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** The process that was started, which may be a task runner. */
  get pid(): number {
    return this.#child.pid!;
  }

  get port(): number {
    return Number(/ listening on \S+:(\d+) /.exec(this.#stdout)?.[1]);
  }

  get hasExited(): boolean {
    return this.#exit !== undefined;
  }

  signal(name: "SIGTERM" | "SIGINT"): void {
    process.kill(this.pid, name);
  }

  /** Goes away as the reader of its output, as a pager does. */
  closeOutput(): void {
    this.#child.stdout!.destroy();
    this.#child.stderr!.destroy();
  }

  /** Waits until it has ended and all that it said is read. */
  async exited(): Promise<Exit> {
    await until("the command ends", () => this.#exit !== undefined, 30_000);
    return this.#exit!;
  }

  /** Ends it, if it is still there. */
  async dispose(): Promise<void> {
    try {
      if (this.#exit === undefined) process.kill(this.pid, "SIGKILL");
    } catch (error) {
      // It has ended, and its exit isn't told yet.
      if ((error as { readonly code?: string }).code !== "ESRCH") throw error;
    }
    await this.exited();
  }
}
