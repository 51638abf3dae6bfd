/**
 * Runs child processes that end together with all processes that they start: a task runner and its
 * server, a server and its workers, bots and their processes.
 *
 * @module
 */

import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { endOnSignal } from "./command.ts";

/** The signals that end a group: `SIGTERM` asks, `SIGKILL` can't be refused. */
export type EndSignal = "SIGTERM" | "SIGKILL";

/** Milliseconds between two checks of a group whose first process has ended. */
const LOOK_MS = 50;

/** Milliseconds that the other processes of a group may stay after the first one has ended. */
const STRAY_PATIENCE_MS = 10_000;

/** The groups that may still have a process. */
const groups = new Set<ProcessGroup>();

/**
 * A child process that leads a process group of its own. A terminal's Ctrl-C doesn't reach it: this
 * process decides. When this process ends, by itself or by a signal, it asks the group to end.
 */
export class ProcessGroup {
  readonly child: ChildProcess;
  /**
   * Resolves when no process of the group is left, or when those that outlived the first one were killed.
   */
  readonly gone: Promise<void>;

  private constructor(child: ChildProcess) {
    this.child = child;
    this.gone = this.#watch();
  }

  /**
   * Starts a program.
   *
   * @param command The program and its arguments.
   */
  static spawn(command: readonly string[], options: SpawnOptions): ProcessGroup {
    endGroupsWithUs();
    const [program = "", ...args] = command;
    const group = new ProcessGroup(spawn(program, args, { ...options, detached: true }));
    groups.add(group);
    group.gone.then(() => groups.delete(group));
    return group;
  }

  /** Sends a signal to every process of the group, without waiting. May be called at any time. */
  signal(name: EndSignal): void {
    const { pid } = this.child;
    if (pid === undefined || !groups.has(this)) return;
    try {
      process.kill(-pid, name);
    } catch {
      // No process of the group is left.
    }
  }

  async #watch(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.child.once("exit", () => resolve());
      this.child.once("error", () => {
        if (this.child.pid === undefined) resolve();
      });
    });
    const endMs = performance.now() + STRAY_PATIENCE_MS;
    while (this.#hasProcesses && performance.now() < endMs) {
      await sleep(LOOK_MS);
    }
    this.signal("SIGKILL");
  }

  get #hasProcesses(): boolean {
    const { pid } = this.child;
    try {
      return pid !== undefined && process.kill(-pid, 0);
    } catch {
      return false;
    }
  }
}

let isListening = false;

function endGroupsWithUs(): void {
  if (isListening) return;
  isListening = true;
  process.on("exit", () => {
    for (const group of groups) group.signal("SIGTERM");
  });
  // A signal without a listener ends a process without an exit event.
  if (process.listenerCount("SIGINT") === 0) endOnSignal(() => {});
}
