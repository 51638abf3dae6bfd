/**
 * Child processes and files to remove when a command ends, by itself or by a signal.
 *
 * @module
 */

import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import type { EndSignal, ProcessGroup } from "../../cli/process_group.ts";

/** Milliseconds that processes have to end after SIGTERM: a server ends within 10 s. */
const END_PATIENCE_MS = 12_000;

/**
 * Milliseconds. A signal counts as the second one only this long after the first, because one Ctrl-C may
 * arrive three times.
 */
const SECOND_SIGNAL_MS = 500;

const SIGNALS = [["SIGINT", 2], ["SIGTERM", 15], ["SIGHUP", 1]] as const;

/** The child processes and files of a running command, and the signals that end it early. */
export class Cleanup {
  readonly #groups = new Set<ProcessGroup>();
  readonly #ends = new Set<() => void>();
  readonly #interrupted = Promise.withResolvers<void>();
  readonly #stopListening: (() => void)[] = [];
  #status: number | null = null;
  #firstSignalMs = 0;

  /** The exit status of the signal that has arrived; `null` if there was none. */
  get status(): number | null {
    return this.#status;
  }

  /** Resolves at the first signal. */
  get interrupted(): Promise<void> {
    return this.#interrupted.promise;
  }

  /** Adds a process group to end. It is forgotten when it has ended. */
  add(group: ProcessGroup): void {
    this.#groups.add(group);
    group.gone.then(() => this.#groups.delete(group));
    if (this.#status !== null) group.signal("SIGTERM");
  }

  /** Adds another function to call at the end. Returns a function that removes it again. */
  begin(end: () => void): () => void {
    this.#ends.add(end);
    return () => this.#ends.delete(end);
  }

  /**
   * Listens for the signals that end a command, until {@linkcode endAll}. The first signal asks all
   * processes to end and leaves the rest to the command. The second one ends everything at once, this
   * process too. So does an uncaught exception, after which Deno sends no exit event.
   *
   * @param onFirst Called at the first signal.
   */
  listen(onFirst: () => void): void {
    for (const [signal, number] of SIGNALS) {
      const onSignal = () => this.#onSignal(128 + number, onFirst);
      process.on(signal, onSignal);
      this.#stopListening.push(() => process.off(signal, onSignal));
    }
    process.on("uncaughtException", (error) => {
      console.error(error);
      this.#signalAll("SIGKILL");
      this.#undo();
      process.exit(1);
    });
  }

  #onSignal(status: number, onFirst: () => void): void {
    const nowMs = performance.now();
    if (this.#status === null) {
      this.#status = status;
      this.#firstSignalMs = nowMs;
      this.#signalAll("SIGTERM");
      onFirst();
      this.#interrupted.resolve();
    } else if (nowMs - this.#firstSignalMs >= SECOND_SIGNAL_MS) {
      this.#signalAll("SIGKILL");
      this.#undo();
      process.exit(this.#status);
    }
  }

  /**
   * Ends everything, and resolves when it has ended. After that, signals end this process as they do
   * without a listener, also while it is busy.
   */
  async endAll(): Promise<void> {
    this.#signalAll("SIGTERM");
    const timer = setTimeout(() => this.#signalAll("SIGKILL"), END_PATIENCE_MS);
    await Promise.all([...this.#groups].map(({ gone }) => gone));
    clearTimeout(timer);
    this.#undo();
    if (this.#status !== null) {
      const restMs = this.#firstSignalMs + SECOND_SIGNAL_MS - performance.now();
      await sleep(Math.max(restMs, 0));
    }
    for (const stop of this.#stopListening.splice(0)) stop();
  }

  #signalAll(name: EndSignal): void {
    for (const group of this.#groups) group.signal(name);
  }

  #undo(): void {
    for (const end of this.#ends) end();
    this.#ends.clear();
  }
}
