import { DueQueue } from "./due_queue.ts";
import type { Waiter, WaitingPlace } from "./gate.ts";

/** A connection that waits until it's read on. */
export interface Applicant extends Waiter {
  /** The address that it shares its turns with. */
  readonly site: string;
  /** What it has brought since it was last read on. */
  readonly broughtBytes: number;
}

/** What an admission counts as at least, so that those who bring next to nothing come in turn. */
const MIN_COST_BYTES = 1_024;

/**
 * Where connections that send much wait to be read on, when what was read of all waits for its turn.
 * Addresses take turns, and of each those that brought little come before those that brought much: a
 * thousand that fill what is read at once may take a minute.
 */
export class ReadAdmission implements WaitingPlace {
  /** In the order of their turns. */
  readonly #queues = new Map<string, DueQueue<Applicant>>();

  get isEmpty(): boolean {
    return this.#queues.size === 0;
  }

  /** What the one that is next has brought, in bytes; 0 where there is none. */
  get nextBytes(): number {
    for (const { nextCost } of this.#queues.values()) return nextCost;
    return 0;
  }

  wait(applicant: Applicant): void {
    const { site, broughtBytes } = applicant;
    let queue = this.#queues.get(site);
    if (queue === undefined) this.#queues.set(site, queue = new DueQueue());
    queue.add(applicant, Math.max(broughtBytes, MIN_COST_BYTES));
  }

  leave(applicant: Applicant): void {
    const queue = this.#queues.get(applicant.site);
    queue?.remove(applicant);
    if (queue?.size === 0) this.#queues.delete(applicant.site);
  }

  /** Takes the one that is next. */
  take(): Applicant | undefined {
    for (const [site, queue] of this.#queues) {
      const applicant = queue.take();
      this.#queues.delete(site);
      if (queue.size > 0) this.#queues.set(site, queue);
      return applicant;
    }
    return undefined;
  }
}
