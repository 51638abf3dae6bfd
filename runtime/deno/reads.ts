/**
 * Decides which of Deno's connections reads on when, and into which buffer.
 *
 * @module
 */

import type { DenoTurns } from "./turns.ts";
import { FairQueue, type Queued } from "../fair_queue.ts";
import { ReadBuffers } from "./read_buffers.ts";

/**
 * The most reads in one turn for connections whose last read filled its buffer; they take some 2 ms. If
 * bytes are there already, a read is answered in microtasks, and the loop turns only after tokio has had
 * 128 of them; from then on it looks for new I/O about every 61st turn, until all that was ready is read.
 * Without this limit, three thousand peers that each sent 64 KB made all others wait for a second.
 */
const readsPerTurn = 32;

/** The most reads of one connection in one turn. */
const readsPerTurnOfOne = 4;

/** A connection that reads on in its turn. It is light if little is expected of its peer. */
export interface StreamReader extends Queued {
  /** Reads once more, or does nothing if it must not read now. */
  readOn(): void;
}

/**
 * Lends connections their buffers, and lets those that read a stream take turns, by address. A light
 * client fills a small buffer too when the loop was busy for long: behind ten thousand streams it would
 * then wait for a second, in which the next one fills.
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
   * True if a connection whose last read filled its buffer may read on at once. If false, it is called in
   * its turn.
   *
   * @param count The number of reads in a row that filled the buffer.
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

  /** Removes a connection that may be waiting for its turn. */
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
