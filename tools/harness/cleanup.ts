/**
 * What has to be ended before a command may end, by itself or by a signal.
 *
 * @module
 */

import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import type { EndSignal, ProcessGroup } from "../../cli/process_group.ts";

/** How long processes may take to end when they're asked to: a server ends within 10 s. */
const END_PATIENCE_MS = 12_000;

/** A signal counts as the second one only this long after the first: one Ctrl-C may arrive thrice. */
const SECOND_SIGNAL_MS = 500;

const SIGNALS = [["SIGINT", 2], ["SIGTERM", 15], ["SIGHUP", 1]] as const;

/** Processes and files of a command that is under way, and the signals that end it early. */
export class Undertakings {
  readonly #groups = new Set<ProcessGroup>();
  readonly #ends = new Set<() => void>();
  readonly #interrupted = Promise.withResolvers<void>();
  readonly #stopListening: (() => void)[] = [];
  #status: number | null = null;
  #firstSignalMs = 0;

  /** The exit status that a signal asks for; `null` as long as there was none. */
  get status(): number | null {
    return this.#status;
  }

  /** Resolves at the first signal. */
  get interrupted(): Promise<void> {
    return this.#interrupted.promise;
  }

  /** A process was started; it's let go of when it has ended. */
  add(group: ProcessGroup): void {
    this.#groups.add(group);
    group.gone.then(() => this.#groups.delete(group));
    if (this.#status !== null) group.signal("SIGTERM");
  }

  /** Something else has to be undone. Returns what to call when it has been. */
  begin(end: () => void): () => void {
    this.#ends.add(end);
    return () => this.#ends.delete(end);
  }

  /**
   * Listens for the signals that end a command, until {@linkcode endAll}. The first asks all processes to
   * end, and leaves the rest to the command; the second ends everything, this process too, at once. So
   * does a defect of ours that nothing catches, on Deno without the exit event on which groups end.
   *
   * @param onFirst Called at the first.
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
   * Ends everything that is under way, and resolves when it has ended. From then on signals end this
   * process as if nobody listened, also while it is busy.
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
