import { MAX_WRONG_PROOFS, SLOW_PROOF_MS, WRONG_PROOFS_WINDOW_MS } from "./limits.ts";

/**
 * Counts wrong proofs, and slows those down that follow. A right one still counts, whatever others have
 * guessed. So right and wrong ones wait alike.
 */
export class WrongProofs {
  /** The moments of the latest, at most as many as are allowed. */
  #atMs: number[] = [];

  /** The milliseconds that the next proof has to wait. */
  delayMs(nowMs: number): number {
    return this.#recent(nowMs) < MAX_WRONG_PROOFS ? 0 : SLOW_PROOF_MS;
  }

  /** Counts one. Returns false if there were too many to speak of each. */
  add(nowMs: number): boolean {
    const isFew = this.#recent(nowMs) < MAX_WRONG_PROOFS;
    this.#atMs = [...this.#atMs, nowMs].slice(-MAX_WRONG_PROOFS);
    return isFew;
  }

  #recent(nowMs: number): number {
    return this.#atMs.filter((atMs) => nowMs - atMs < WRONG_PROOFS_WINDOW_MS).length;
  }
}
