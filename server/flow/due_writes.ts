import { Fifo } from "../timing/fifo.ts";
import type { FairScheduler, SlicedTask } from "../timing/fair_scheduler.ts";

/** A connection with small pieces that topics have left for a later write. */
export interface DueConnection {
  /** Writes them all at once, if there are any. */
  writeDue(): void;
}

/**
 * Writes several topics' pieces to a connection at once. A pass that reaches such a connection leaves its
 * piece there, and the pieces that have come by the time of its write go out together: so the pieces of a
 * hundred topics cost a connection one write, not a hundred. These writes take turns with the topics, so a
 * piece waits no longer than a topic's messages do.
 */
export class DueWrites implements SlicedTask {
  readonly #scheduler: FairScheduler;
  readonly #connections = new Fifo<DueConnection>();
  #isScheduled = false;
  /** The number of connections ever added, and the number of those written to. */
  #added = 0;
  #written = 0;
  /** Calls that wait until so many are written to. */
  readonly #followers = new Fifo<{ readonly behind: number; readonly call: () => void }>();

  constructor(scheduler: FairScheduler) {
    this.#scheduler = scheduler;
  }

  /** Writes to the connection in its turn. Call it for the first piece that is left there. */
  add(connection: DueConnection): void {
    this.#connections.push(connection);
    this.#added++;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#scheduler.schedule(this);
  }

  /** Calls back once all connections are written to that were added before: at once if none is left. */
  follow(call: () => void): void {
    if (this.#connections.size === 0) call();
    else this.#followers.push({ behind: this.#added, call });
  }

  get hasMore(): boolean {
    return this.#isScheduled;
  }

  runSlice(budget: number): number {
    let writes = 0;
    while (writes < budget) {
      const connection = this.#connections.shift();
      if (connection === undefined) break;
      connection.writeDue();
      writes++;
    }
    this.#isScheduled = this.#connections.size > 0;
    this.#written += writes;
    if (this.#followers.size > 0) this.#callFollowers();
    return writes;
  }

  #callFollowers(): void {
    for (;;) {
      const follower = this.#followers.peek();
      if (follower === undefined || follower.behind > this.#written) return;
      this.#followers.shift();
      follower.call();
    }
  }
}
