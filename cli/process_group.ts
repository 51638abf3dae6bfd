/**
 * Child processes that end together with all that they start in turn: a task runner and its server, a
 * server and its workers, bots and theirs.
 *
 * @module
 */

import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { endOnSignal } from "./command.ts";

/** The signals with which a group is ended: `SIGTERM` asks, `SIGKILL` can't be refused. */
export type EndSignal = "SIGTERM" | "SIGKILL";

/** How often a group whose first process has ended is looked at. */
const LOOK_MS = 50;

/** How long the others of a group may stay when its first process has ended. */
const STRAY_PATIENCE_MS = 10_000;

/** Those that may have a living process. */
const groups = new Set<ProcessGroup>();

/**
 * A child process at the head of a process group of its own. A terminal's Ctrl-C doesn't reach it: this
 * process decides. When this process ends by itself or by a signal, the group is asked to end, too.
 */
export class ProcessGroup {
  readonly child: ChildProcess;
  /** No process of the group is left; or, when the first had long ended, the others were killed. */
  readonly gone: Promise<void>;

  private constructor(child: ChildProcess) {
    this.child = child;
    this.gone = this.#watch();
  }

  /**
   * Starts a program.
   *
   * @param command The program, and what it gets.
   */
  static spawn(command: readonly string[], options: SpawnOptions): ProcessGroup {
    endGroupsWithUs();
    const [program = "", ...args] = command;
    const group = new ProcessGroup(spawn(program, args, { ...options, detached: true }));
    groups.add(group);
    group.gone.then(() => groups.delete(group));
    return group;
  }

  /** Sends every process of the group a signal; at any time, without waiting. */
  signal(name: EndSignal): void {
    const { pid } = this.child;
    if (pid === undefined || !groups.has(this)) return;
    try {
      process.kill(-pid, name);
    } catch {
      // None is left.
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
  // A signal that nothing listens for ends a process without an exit event.
  if (process.listenerCount("SIGINT") === 0) endOnSignal(() => {});
}
