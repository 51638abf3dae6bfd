/**
 * Which of Deno's connections reads on when, and into what.
 *
 * @module
 */

import type { DenoTurns } from "./turns.ts";
import { FairQueue, type Queued } from "../fair_queue.ts";
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

/** A connection that reads on in its turn; light where little is expected of its peer. */
export interface StreamReader extends Queued {
  /** Reads once more; nothing where it mustn't now. */
  readOn(): void;
}

/**
 * Lends connections their buffers, and lets those that read a stream take turns, by address. A client that
 * says little fills a small buffer too, when the loop was long about something else: behind ten thousand
 * streams it would then wait for a second, in which the next one fills.
 */
export class DenoReads {
  readonly buffers: ReadBuffers = new ReadBuffers();
  readonly #turns: Pick<DenoTurns, "next">;
  readonly #waiting = new FairQueue<StreamReader>();
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
    if (count % readsPerTurnOfOne !== 0 && this.#readsLeft > 0 && this.#waiting.isEmpty) {
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
    const readers: StreamReader[] = [];
    while (readers.length < readsPerTurn) {
      const reader = this.#waiting.take();
      if (reader === undefined) break;
      readers.push(reader);
    }
    for (const reader of readers) {
      this.#readsLeft--;
      reader.readOn();
    }
    if (!this.#waiting.isEmpty) this.#askTurn();
  };
}
