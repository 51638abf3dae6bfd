import type { Waiter, WaitingPlace } from "./gate.ts";

/** A connection that waits until it's read on. */
export interface Applicant extends Waiter {
  /** The address that it shares its turns with. */
  readonly site: string;
  /** Whether it brought little when it was last admitted. */
  readonly bringsLittle: boolean;
}

/** The connections of one address that wait. */
interface Queue {
  readonly light: Set<Applicant>;
  readonly heavy: Set<Applicant>;
  admitted: number;
}

/** Of those admitted of an address, one in so many brings much, while some of both wait. */
const HEAVY_ONE_IN = 4;

/**
 * Where connections that send much wait to be read on, when what was read of all waits for its turn.
 * Addresses take turns, and of each those that bring little come before those that fill what is read at
 * once: a thousand of these may take a minute.
 */
export class ReadAdmission implements WaitingPlace {
  /** In the order of their turns. */
  readonly #queues = new Map<string, Queue>();

  get isEmpty(): boolean {
    return this.#queues.size === 0;
  }

  wait(applicant: Applicant): void {
    const { site } = applicant;
    let queue = this.#queues.get(site);
    if (queue === undefined) {
      queue = { light: new Set(), heavy: new Set(), admitted: 0 };
      this.#queues.set(site, queue);
    }
    (applicant.bringsLittle ? queue.light : queue.heavy).add(applicant);
  }

  leave(applicant: Applicant): void {
    const queue = this.#queues.get(applicant.site);
    if (queue === undefined) return;
    if (!queue.light.delete(applicant)) queue.heavy.delete(applicant);
    if (queue.light.size + queue.heavy.size === 0) this.#queues.delete(applicant.site);
  }

  /** Takes the one that is next. */
  take(): Applicant | undefined {
    for (const [site, queue] of this.#queues) {
      const { light, heavy } = queue;
      const isHeavyDue = ++queue.admitted % HEAVY_ONE_IN === 0;
      const from = heavy.size > 0 && (isHeavyDue || light.size === 0) ? heavy : light;
      const [applicant] = from;
      this.#queues.delete(site);
      if (applicant !== undefined) from.delete(applicant);
      if (light.size + heavy.size > 0) this.#queues.set(site, queue);
      return applicant;
    }
    return undefined;
  }
}
