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

/**
 * The most answered reads that are delivered in one turn. One poll may answer the reads of ten thousand
 * connections, and the loop doesn't turn until all of them are delivered, at some 25 us each: without this
 * limit, 19,000 peers that all sent something at once made all others wait for two seconds.
 */
const deliveriesPerTurn = 128;

/** Of these, only light connections get the last ones, so that they needn't wait for a turn behind others. */
const keptForLight = 32;

/** A delivery that waited costs a quarter of a read: its bytes are there, and they are few. */
const deliveriesPerRead = deliveriesPerTurn / readsPerTurn;

/** A connection that reads on in its turn. It is light if little is expected of its peer. */
export interface StreamReader extends Queued {
  /** True if an answered read waits to be delivered. */
  readonly isLate: boolean;
  /** Delivers the read that waits, or reads once more, or does nothing if it must not read now. */
  readOn(): void;
}

/**
 * Lends connections their buffers, and lets those that read a stream take turns, by address, and so those
 * whose reads one poll has answered together. A light client fills a small buffer too when the loop was
 * busy for long: behind ten thousand streams it would then wait for a second, in which the next one fills.
 */
export class DenoReads {
  readonly buffers: ReadBuffers = new ReadBuffers();
  readonly #turns: Pick<DenoTurns, "next">;
  readonly #waiting = new FairQueue<StreamReader>();
  #readsLeft = readsPerTurn;
  #deliveriesLeft = deliveriesPerTurn;
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

  /**
   * True if an answered read may be delivered at once. If false, the connection is called in its turn, and
   * must be late until then.
   */
  mayDeliver(reader: StreamReader): boolean {
    const left = this.#deliveriesLeft;
    const isFree = left > keptForLight && this.#waiting.isEmpty;
    if (isFree || left > 0 && reader.isLight) {
      this.#deliveriesLeft--;
      // Ask early, so that reads on a quiet server need not wait for a turn.
      if (left <= deliveriesPerTurn / 2) this.#askTurn();
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
    this.#deliveriesLeft = deliveriesPerTurn;
    const readers: StreamReader[] = [];
    for (let cost = 0; cost < deliveriesPerTurn;) {
      const reader = this.#waiting.take();
      if (reader === undefined) break;
      cost += reader.isLate ? 1 : deliveriesPerRead;
      readers.push(reader);
    }
    for (const reader of readers) {
      if (!reader.isLate) this.#readsLeft--;
      reader.readOn();
    }
    if (!this.#waiting.isEmpty) this.#askTurn();
  };
}
