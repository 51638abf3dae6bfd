/**
 * Which of Deno's connections reads on when, and into what.
 *
 * @module
 */

import type { DenoTurns } from "./deno_turns.ts";
import { ReadBuffers } from "./read_buffers.ts";

/**
 * Reads on in a turn of all connections whose last read filled its buffer, some 2 ms. Where bytes are
 * there already, a read is answered in microtasks, and the loop turns only when tokio has had 128 of
 * them; from then on it looks for new I/O about every 61st turn, until all that was ready is read. Three
 * thousand peers that each send 64 KB kept everybody else waiting for a second.
 */
const readsPerTurn = 32;

/** Of one connection. */
const readsPerTurnOfOne = 4;

/** A connection that reads on in its turn. */
export interface StreamReader {
  /** Reads once more; nothing where it mustn't now. */
  readOn(): void;
}

/** Lends connections their buffers, and lets those that read a stream take turns. */
export class DenoReads {
  readonly buffers: ReadBuffers = new ReadBuffers();
  readonly #turns: Pick<DenoTurns, "next">;
  readonly #waiting = new Set<StreamReader>();
  #readsLeft = readsPerTurn;
  #isTurnAsked = false;

  constructor(turns: Pick<DenoTurns, "next">) {
    this.#turns = turns;
  }

  /**
   * Whether a connection whose last read filled its buffer may read on at once; if not, it's asked to in
   * its turn.
   *
   * @param count How often in a row it has.
   */
  mayReadOn(reader: StreamReader, count: number): boolean {
    if (count % readsPerTurnOfOne !== 0 && this.#readsLeft > 0 && this.#waiting.size === 0) {
      this.#readsLeft--;
      return true;
    }
    this.#waiting.add(reader);
    this.#askTurn();
    return false;
  }

  /** Forgets a connection that may wait for its turn. */
  leave(reader: StreamReader): void {
    this.#waiting.delete(reader);
  }

  #askTurn(): void {
    if (this.#isTurnAsked) return;
    this.#isTurnAsked = true;
    this.#turns.next(this.#turn);
  }

  readonly #turn = (): void => {
    this.#isTurnAsked = false;
    this.#readsLeft = readsPerTurn;
    for (const reader of [...this.#waiting.values().take(readsPerTurn)]) {
      this.#readsLeft--;
      this.#waiting.delete(reader);
      reader.readOn();
    }
    if (this.#waiting.size > 0) this.#askTurn();
  };
}
