/** A worker that has served for so long was well: its next death is its first one again. */
const WELL_AFTER_MS = 60_000;

/** The wait before the first restart; it doubles with each further death, up to the longest. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 10_000;

/** A worker that has died so often without ever being well isn't mended by restarts. */
export const MAX_DEATHS = 5;

/**
 * When workers that died are started again. Deaths are counted for each worker by itself: one that can't
 * live says nothing about the others.
 */
export class RestartSchedule {
  /** By name, how often a worker and its successors have died since one was well. */
  readonly #deaths = new Map<string, number>();

  /**
   * A worker has died, or couldn't be started.
   *
   * @param servedMs How long it has served; 0 for one that never did.
   * @returns Milliseconds to wait before its successor starts.
   */
  noteDeath(name: string, servedMs: number): number {
    const before = servedMs >= WELL_AFTER_MS ? 0 : this.#deaths.get(name) ?? 0;
    this.#deaths.set(name, before + 1);
    return Math.min(FIRST_WAIT_MS * 2 ** before, LONGEST_WAIT_MS);
  }

  /** Whether each of these has died {@linkcode MAX_DEATHS} times without ever being well. */
  isHopeless(names: readonly string[]): boolean {
    return names.every((name) => (this.#deaths.get(name) ?? 0) >= MAX_DEATHS);
  }
}
