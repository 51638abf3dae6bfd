/**
 * One of several processes that share a runtime in memory.
 *
 * @module
 */

import type {
  Accept,
  Connection,
  ConnectOptions,
  Listener,
  ListenOptions,
  Runtime,
} from "../../../runtime/types.ts";
import type { MemoryConnection } from "./memory_connection.ts";
import type { End } from "./memory_pipe.ts";
import type { MemoryRuntime } from "./memory_runtime.ts";

/**
 * A process that a test can stop, as SIGSTOP does, and let go on: meanwhile none of its tasks runs, and
 * its connections neither read nor write. Connections to it must be made while it runs.
 */
export class MemoryProcess implements Runtime {
  readonly name = "memory";
  readonly version: string;
  readonly writesPerTurn: number;
  readonly #net: MemoryRuntime;
  #hangs = false;
  #tasks: (() => void)[] = [];
  #ends = new Set<End>();
  readonly #connections = new Set<MemoryConnection>();

  constructor(net: MemoryRuntime) {
    this.#net = net;
    this.version = net.version;
    this.writesPerTurn = net.writesPerTurn;
  }

  /** True if it is stopped. */
  get hangs(): boolean {
    return this.#hangs;
  }

  /** Stops it, or lets it go on. */
  set hangs(hangs: boolean) {
    this.#hangs = hangs;
    if (hangs) return;
    for (const end of this.#ends) this.#net.mark(end);
    for (const task of this.#tasks) this.#net.nextTurn(task);
    this.#ends = new Set();
    this.#tasks = [];
  }

  /** Ends it, as SIGKILL does: its connections break, and nothing of it runs any more. */
  kill(): void {
    this.#hangs = true;
    for (const connection of this.#connections) connection.abandon();
  }

  /** Keeps what an end would do until the process goes on. */
  defer(end: End): void {
    this.#ends.add(end);
  }

  get residentBytes(): number {
    return this.#net.residentBytes;
  }

  giveBack(): void {
    this.#net.giveBack();
  }

  tryIdentity(): Promise<void> {
    return this.#net.tryIdentity();
  }

  soon(task: () => void): void {
    this.nextTurn(task);
  }

  afterTurn(_isBusy: () => boolean, task: () => void): void {
    this.nextTurn(task);
  }

  nextTurn(task: () => void): void {
    this.#net.nextTurn(() => {
      if (this.#hangs) this.#tasks.push(task);
      else task();
    });
  }

  listen(options: ListenOptions, accept: Accept): Promise<Listener> {
    return this.#net.listen(options, this.#owning(accept));
  }

  connect(options: ConnectOptions, accept: Accept): Promise<Connection> {
    return this.#net.connect(options, this.#owning(accept));
  }

  #owning(accept: Accept): Accept {
    return (connection) => {
      const owned = connection as MemoryConnection;
      owned.process = this;
      this.#connections.add(owned);
      return accept(connection);
    };
  }
}
