import { SetQueue } from "../../runtime/set_queue.ts";
import { DueQueue } from "./due_queue.ts";
import type { Waiter, WaitingPlace } from "./gate.ts";

/** A connection that waits to be read on. */
export interface Applicant extends Waiter {
  /** The address whose turns it shares. */
  readonly site: string;
  /** The bytes that it has brought since it was last read on. */
  readonly broughtBytes: number;
}

/** The least bytes that an admission counts as, so that small ones take turns too. */
const MIN_COST_BYTES = 1_024;

/**
 * The connections that send much and wait to be read on, because much that was read before waits for its
 * turn. Addresses take turns; of one address, connections that brought little come before those that
 * brought much: serving a thousand connections that bring the most at once may take a minute.
 */
export class ReadAdmission implements WaitingPlace {
  readonly #queues = new Map<string, DueQueue<Applicant>>();
  /** In the order of their turns. */
  readonly #turns = new SetQueue<DueQueue<Applicant>>();

  get isEmpty(): boolean {
    return this.#queues.size === 0;
  }

  /** The bytes that the next connection has brought; 0 if none waits. */
  get nextBytes(): number {
    return this.#turns.first?.nextCost ?? 0;
  }

  wait(applicant: Applicant): void {
    const { site, broughtBytes } = applicant;
    let queue = this.#queues.get(site);
    if (queue === undefined) {
      this.#queues.set(site, queue = new DueQueue());
      this.#turns.add(queue);
    }
    queue.add(applicant, Math.max(broughtBytes, MIN_COST_BYTES));
  }

  leave(applicant: Applicant): void {
    const queue = this.#queues.get(applicant.site);
    if (queue === undefined) return;
    queue.remove(applicant);
    if (queue.size > 0) return;
    this.#queues.delete(applicant.site);
    this.#turns.delete(queue);
  }

  /** Takes the next connection. */
  take(): Applicant | undefined {
    const queue = this.#turns.take();
    const applicant = queue?.take();
    if (queue === undefined || applicant === undefined) return undefined;
    if (queue.size > 0) this.#turns.add(queue);
    else this.#queues.delete(applicant.site);
    return applicant;
  }
}
