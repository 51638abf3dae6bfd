/** After so many milliseconds of service a worker counts as well: its next death is the first again. */
const WELL_AFTER_MS = 60_000;

/** Milliseconds before the first restart; they double with each further death, up to the longest wait. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 10_000;

/** After so many deaths without being well, restarts don't help a worker any more. */
export const MAX_DEATHS = 5;

/**
 * Decides when workers that died are started again. It counts the deaths of each worker separately: one
 * that can't live says nothing about the others.
 */
export class RestartSchedule {
  /** The deaths of each worker and its successors since one was well, by name. */
  readonly #deaths = new Map<string, number>();

  /**
   * Counts the death of a worker, or a failure to start it.
   *
   * @param servedMs Milliseconds for which it has served; 0 if it never did.
   * @returns Milliseconds to wait before its successor starts.
   */
  noteDeath(name: string, servedMs: number): number {
    const before = servedMs >= WELL_AFTER_MS ? 0 : this.#deaths.get(name) ?? 0;
    this.#deaths.set(name, before + 1);
    return Math.min(FIRST_WAIT_MS * 2 ** before, LONGEST_WAIT_MS);
  }

  /** True if each of these has died {@linkcode MAX_DEATHS} times without being well. */
  isHopeless(names: readonly string[]): boolean {
    return names.every((name) => (this.#deaths.get(name) ?? 0) >= MAX_DEATHS);
  }
}
