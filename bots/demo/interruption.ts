/**
 * A signal that ends a command, once all that it has started has ended.
 *
 * @module
 */

import process from "node:process";

const SIGNALS = [["SIGINT", 2], ["SIGTERM", 15], ["SIGHUP", 1]] as const;

/**
 * How long after the first signal another one is a second wish: Ctrl-C arrives once from the terminal, and
 * once more from each runner in between.
 */
const SECOND_WISH_MS = 500;

/** Watches for signals from its construction on. */
export class Interruption {
  readonly #ends = new Set<() => void>();
  #status: number | null = null;
  #atMs = 0;

  constructor() {
    for (const [signal, number] of SIGNALS) process.on(signal, () => this.#onSignal(128 + number));
  }

  /** The exit status that the signal asks for; `null` while there was none. */
  get status(): number | null {
    return this.#status;
  }

  /**
   * Something has started. When a signal comes, or has come, it's ended.
   *
   * @param end Ends it, without waiting; may be called more than once.
   * @returns what to call when it has ended.
   */
  begin(end: () => void): () => void {
    if (this.#status !== null) end();
    this.#ends.add(end);
    return () => this.#ends.delete(end);
  }

  #onSignal(status: number): void {
    const now = performance.now();
    if (this.#status === null) {
      this.#status = status;
      this.#atMs = now;
    }
    for (const end of this.#ends) end();
    if (now - this.#atMs > SECOND_WISH_MS) process.exit(status);
  }
}
