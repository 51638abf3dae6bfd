/**
 * What has to be ended before the comparison may end.
 *
 * @module
 */

/** Processes and the like that are under way, each with the way to end it at once. */
export class Undertakings {
  readonly #ends = new Set<() => void>();

  /** Something was started. Returns what to call when it has ended. */
  begin(end: () => void): () => void {
    this.#ends.add(end);
    return () => this.#ends.delete(end);
  }

  /** Ends everything that is under way. */
  endAll(): void {
    for (const end of this.#ends) end();
  }
}
