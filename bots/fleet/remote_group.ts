/**
 * A group of bots in a process of its own.
 *
 * @module
 */

import type { ChildProcess } from "node:child_process";
import { counted } from "../../cli/counted.ts";
import { startChild } from "../../cli/child.ts";
import { ChildCalls } from "../../cli/child_calls.ts";
import { BOTS_MEMORY_FLAGS } from "../../cli/deno_flags.ts";
import type { Runtime } from "../../runtime/types.ts";
import type { RampUpProgress } from "./ramp_up.ts";
import { EnvironmentError } from "../../cli/command_line.ts";
import type { GroupStorm, StormProgress } from "./reconnection.ts";
import type { BotGroup, GroupPlan, GroupRound, SettleOutcome, SetupOutcome } from "./group.ts";

type Call =
  | "setUp"
  | "gather"
  | "settle"
  | "readClock"
  | "begin"
  | "received"
  | "collect"
  | "startStorm"
  | "cut"
  | "stormProgress"
  | "endStorm"
  | "leave";

/**
 * A message from the leading process. It is JSON, because that is all that IPC carries on every runtime.
 */
export interface ToWorker extends CallBody {
  readonly id: number;
}

interface CallBody {
  readonly call: Call;
  /** Present in the first call only. */
  readonly plan?: GroupPlan;
}

/** A message from a worker: that it is ready, the answer to a call, or the progress of setting up. */
export type FromWorker =
  | { readonly isReady: true }
  | { readonly id: number; readonly value: unknown }
  | { readonly progress: RampUpProgress };

/**
 * The permissions of a process of bots: it connects, and the loop meter listens on the loopback
 * interface.
 */
const PERMISSIONS = ["--allow-net", BOTS_MEMORY_FLAGS];

/**
 * A group in a child process. When the child dies, every pending and every later call rejects with an
 * {@linkcode EnvironmentError}.
 */
export class RemoteGroup implements BotGroup {
  readonly size: number;
  readonly #plan: GroupPlan;
  readonly #child: ChildProcess;
  readonly #calls: ChildCalls<CallBody, unknown>;
  #onProgress: (progress: RampUpProgress) => void = () => {};
  #death: EnvironmentError | null = null;
  readonly #ready = Promise.withResolvers<void>();

  private constructor(plan: GroupPlan, child: ChildProcess) {
    this.size = plan.size;
    this.#plan = plan;
    this.#child = child;
    this.#calls = new ChildCalls(child);
    child.on("message", (message: FromWorker) => this.#onMessage(message));
    child.on("exit", (status, signal) => {
      this.#onDeath(signal === null ? `with status ${status}` : `by ${signal}`);
    });
    child.on("error", (error) => this.#onDeath(`: ${error.message}`));
    // `start` awaits this promise. Without this line a rejection after that would count as unhandled.
    this.#ready.promise.catch(() => {});
  }

  /**
   * Starts a process. Resolves when it is ready for calls.
   *
   * @throws {EnvironmentError} (rejects) if it can't be started.
   */
  static async start(runtime: Runtime, plan: GroupPlan): Promise<RemoteGroup> {
    let child: ChildProcess;
    try {
      child = await startChild(runtime, import.meta.resolve("./worker.ts"), PERMISSIONS);
    } catch (cause) {
      const { message } = cause as Error;
      throw new EnvironmentError(
        `can't start a process of bots: ${message}; as "deno task bots" it's allowed to, and with ` +
          `--processes 1 it needn't`,
        { cause },
      );
    }
    const group = new RemoteGroup(plan, child);
    await group.#ready.promise;
    return group;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  setUp(onProgress: (progress: RampUpProgress) => void): Promise<SetupOutcome> {
    this.#onProgress = onProgress;
    return this.#call("setUp", this.#plan) as Promise<SetupOutcome>;
  }

  gather(onProgress: (progress: RampUpProgress) => void): Promise<number> {
    this.#onProgress = onProgress;
    return this.#call("gather") as Promise<number>;
  }

  settle(): Promise<SettleOutcome> {
    return this.#call("settle") as Promise<SettleOutcome>;
  }

  readClock(): Promise<number> {
    return this.#call("readClock") as Promise<number>;
  }

  begin(): Promise<void> {
    return this.#call("begin") as Promise<void>;
  }

  received(): Promise<void> {
    return this.#call("received") as Promise<void>;
  }

  collect(): Promise<GroupRound> {
    return this.#call("collect") as Promise<GroupRound>;
  }

  startStorm(): Promise<void> {
    return this.#call("startStorm") as Promise<void>;
  }

  cut(): Promise<void> {
    return this.#call("cut") as Promise<void>;
  }

  stormProgress(): Promise<StormProgress> {
    return this.#call("stormProgress") as Promise<StormProgress>;
  }

  endStorm(): Promise<GroupStorm> {
    return this.#call("endStorm") as Promise<GroupStorm>;
  }

  leave(): Promise<void> {
    return this.#call("leave") as Promise<void>;
  }

  abandon(): void {
    if (this.#death !== null) return;
    if (this.#child.connected) this.#child.disconnect();
    this.#child.kill();
  }

  #call(call: Call, plan?: GroupPlan): Promise<unknown> {
    return this.#calls.make(plan === undefined ? { call } : { call, plan });
  }

  #onMessage(message: FromWorker): void {
    if ("isReady" in message) return this.#ready.resolve();
    if ("progress" in message) return this.#onProgress(message.progress);
    this.#calls.settle(message.id, message.value);
  }

  #onDeath(how: string): void {
    this.#death ??= new EnvironmentError(
      `a process of bots (pid ${this.pid}, ${
        counted(this.size, "bot")
      }) ended ${how}; the run is void`,
    );
    this.#ready.reject(this.#death);
    this.#calls.end(this.#death);
  }
}
