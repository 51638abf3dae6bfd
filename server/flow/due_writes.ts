import { Fifo } from "../timing/fifo.ts";
import type { FairScheduler, SlicedTask } from "../timing/fair_scheduler.ts";

/** A connection for which topics have left small pieces. */
export interface DueConnection {
  /** Writes them all at once; nothing where none is left. */
  writeDue(): void;
}

/**
 * Writes to connections what several topics have for them. A pass that reaches one of these leaves its
 * piece there, and all that have come by the time of its write go out together: a hundred topics' pieces
 * cost a connection one write, not a hundred. It takes its turn among the topics, so what is left waits
 * no longer than a topic's messages do.
 */
export class DueWrites implements SlicedTask {
  readonly #scheduler: FairScheduler;
  readonly #connections = new Fifo<DueConnection>();
  #isScheduled = false;

  constructor(scheduler: FairScheduler) {
    this.#scheduler = scheduler;
  }

  /** Writes to the connection in its turn. To be called for the first piece that is left there. */
  add(connection: DueConnection): void {
    this.#connections.push(connection);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#scheduler.schedule(this);
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
    return writes;
  }
}
