/**
 * Commands as a user types them: in a shell, with whatever stands between that and the server.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { isAlive } from "./command_process.ts";
import type { Checkout } from "./checkout.ts";
import { descendants, signalAll } from "./process_tree.ts";
import { until } from "../until.ts";

/** A command line in a checkout, its outermost process in a group of its own. */
export class Outermost {
  readonly #child: ChildProcess;
  readonly #closed: Promise<number | null>;
  #said = "";

  /** @param line The typed command line; `exec` before it lets the shell be replaced. */
  constructor({ folder, env }: Checkout, line: string, cwd: string = folder) {
    this.#child = spawn("sh", ["-c", line], {
      cwd,
      env,
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    for (const output of [this.#child.stdout!, this.#child.stderr!]) {
      output.setEncoding("utf8").on("data", (text: string) => this.#said += text);
    }
    this.#closed = new Promise((resolve) => this.#child.once("close", resolve));
  }

  /** The outermost process's. */
  get pid(): number {
    return this.#child.pid!;
  }

  /** The output of the process and its children, from both streams. */
  get said(): string {
    return this.#said;
  }

  /** The servers that have said that they listen. */
  get servers(): { readonly port: number; readonly pid: number }[] {
    return [...this.#said.matchAll(/listening on \S+:(\d+) \(.*?pid (\d+)/g)]
      .map(([, port, pid]) => ({ port: Number(port), pid: Number(pid) }));
  }

  /** It listens; rejects with what it said if it ends instead. */
  async listening(): Promise<{ readonly port: number; readonly pid: number }> {
    await until("it listens", () => this.servers.length > 0 || this.#hasExited, 30_000);
    const [server] = this.servers;
    if (server === undefined) throw new Error(`it doesn't listen: ${this.#said}`);
    return server;
  }

  /** It and all that had its outputs have ended; its own status. */
  get ended(): Promise<number | null> {
    return this.#closed;
  }

  /** Signals the outermost process, and no other. */
  signal(name: "SIGTERM" | "SIGINT" | "SIGHUP"): void {
    process.kill(this.pid, name);
  }

  /** Which of these processes are there still, a moment after it has ended. */
  async left(pids: readonly number[]): Promise<number[]> {
    const alive = () => pids.filter(isAlive);
    await until("they have gone", () => alive().length === 0, 10_000).catch(() => {});
    return alive();
  }

  /** Ends all that is left of it: what it started may have a process group of its own. */
  dispose(): void {
    if (!this.#hasExited) signalAll(descendants(this.pid).map(({ pid }) => pid), "SIGKILL");
    try {
      process.kill(-this.pid, "SIGKILL");
    } catch {
      // Nothing is.
    }
  }

  get #hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}
