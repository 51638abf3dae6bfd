/**
 * Bots in a process of their own.
 *
 * @module
 */

import type { ChildProcess } from "node:child_process";
import { counted } from "../../cli/counted.ts";
import { startChild } from "../../cli/child.ts";
import type { Runtime } from "../../runtime/types.ts";
import type { EnlistmentProgress } from "./ramp_up.ts";
import { EnvironmentError } from "../../cli/command_line.ts";
import type { SquadStorm, StormProgress } from "./reconnection.ts";
import type { SettleOutcome, SetupOutcome, Squad, SquadPlan, SquadRound } from "./group.ts";

type Call =
  | "setUp"
  | "gather"
  | "settle"
  | "begin"
  | "received"
  | "collect"
  | "startStorm"
  | "stormProgress"
  | "endStorm"
  | "disband";

/** What the leading process says: JSON, since that is all that IPC carries alike on every runtime. */
export interface ToWorker {
  readonly id: number;
  readonly call: Call;
  /** With the first call only. */
  readonly plan?: SquadPlan;
}

/** What a worker says: that it can be called, the answer to a call, how far setting up has come. */
export type FromWorker =
  | { readonly isReady: true }
  | { readonly id: number; readonly value: unknown }
  | { readonly progress: EnlistmentProgress };

/** How Deno's memory is to be kept where bots are: so that no collection falls into what they measure. */
export const DENO_MEMORY_FLAGS =
  "--v8-flags=--expose-gc,--min-semi-space-size=64,--max-semi-space-size=64";

/** A process of bots connects, and listens for itself on the loopback interface. */
const PERMISSIONS = ["--allow-net", DENO_MEMORY_FLAGS];

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/**
 * A squad in a child process. When the child dies, every call, pending or to come, rejects with an
 * {@linkcode EnvironmentError}.
 */
export class RemoteSquad implements Squad {
  readonly size: number;
  readonly #plan: SquadPlan;
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  #calls = 0;
  #onProgress: (progress: EnlistmentProgress) => void = () => {};
  #death: EnvironmentError | null = null;
  readonly #ready = Promise.withResolvers<void>();

  private constructor(plan: SquadPlan, child: ChildProcess) {
    this.size = plan.size;
    this.#plan = plan;
    this.#child = child;
    child.on("message", (message: FromWorker) => this.#onMessage(message));
    child.on("exit", (status, signal) => {
      this.#onDeath(signal === null ? `with status ${status}` : `by ${signal}`);
    });
    child.on("error", (error) => this.#onDeath(`: ${error.message}`));
    // Whoever started it waits for this; whoever didn't needn't know.
    this.#ready.promise.catch(() => {});
  }

  /**
   * Starts a process; resolves when it can be called.
   *
   * @throws {EnvironmentError} (rejects) if it can't be started.
   */
  static async start(runtime: Runtime, plan: SquadPlan): Promise<RemoteSquad> {
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
    const squad = new RemoteSquad(plan, child);
    await squad.#ready.promise;
    return squad;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  setUp(onProgress: (progress: EnlistmentProgress) => void): Promise<SetupOutcome> {
    this.#onProgress = onProgress;
    return this.#call("setUp", this.#plan) as Promise<SetupOutcome>;
  }

  gather(onProgress: (progress: EnlistmentProgress) => void): Promise<number> {
    this.#onProgress = onProgress;
    return this.#call("gather") as Promise<number>;
  }

  settle(): Promise<SettleOutcome> {
    return this.#call("settle") as Promise<SettleOutcome>;
  }

  begin(): Promise<void> {
    return this.#call("begin") as Promise<void>;
  }

  received(): Promise<void> {
    return this.#call("received") as Promise<void>;
  }

  collect(): Promise<SquadRound> {
    return this.#call("collect") as Promise<SquadRound>;
  }

  startStorm(): Promise<void> {
    return this.#call("startStorm") as Promise<void>;
  }

  stormProgress(): Promise<StormProgress> {
    return this.#call("stormProgress") as Promise<StormProgress>;
  }

  endStorm(): Promise<SquadStorm> {
    return this.#call("endStorm") as Promise<SquadStorm>;
  }

  disband(): Promise<void> {
    return this.#call("disband") as Promise<void>;
  }

  dismiss(): void {
    if (this.#death !== null) return;
    if (this.#child.connected) this.#child.disconnect();
    this.#child.kill();
  }

  #call(call: Call, plan?: SquadPlan): Promise<unknown> {
    if (this.#death !== null) return Promise.reject(this.#death);
    const id = this.#calls++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      const message: ToWorker = plan === undefined ? { id, call } : { id, call, plan };
      this.#child.send(message);
    });
  }

  #onMessage(message: FromWorker): void {
    if ("isReady" in message) return this.#ready.resolve();
    if ("progress" in message) return this.#onProgress(message.progress);
    this.#pending.get(message.id)?.resolve(message.value);
    this.#pending.delete(message.id);
  }

  #onDeath(how: string): void {
    this.#death ??= new EnvironmentError(
      `a process of bots (pid ${this.pid}, ${
        counted(this.size, "bot")
      }) ended ${how}; the run is void`,
    );
    this.#ready.reject(this.#death);
    for (const pending of this.#pending.values()) pending.reject(this.#death);
    this.#pending.clear();
  }
}
