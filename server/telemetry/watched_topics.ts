/** The counts of one topic. */
export interface WatchedCounts {
  /** Messages accepted by this process. */
  messages: number;
  /** Messages handed to subscribers by this process: one for each message and subscriber. */
  deliveries: number;
}

/** Counts the messages of some topics by name, also while they have no subscribers. */
export class WatchedTopics {
  readonly names: readonly string[];
  /** The counts in the order of the names. */
  readonly counts: readonly WatchedCounts[];
  readonly #byName: ReadonlyMap<string, WatchedCounts>;

  constructor(names: readonly string[]) {
    this.names = names;
    this.counts = names.map(() => ({ messages: 0, deliveries: 0 }));
    this.#byName = new Map(names.map((name, index) => [name, this.counts[index]!]));
  }

  countMessage(name: string): void {
    const counts = this.#byName.get(name);
    if (counts !== undefined) counts.messages++;
  }

  countDeliveries(name: string, messages: number): void {
    const counts = this.#byName.get(name);
    if (counts !== undefined) counts.deliveries += messages;
  }
}
