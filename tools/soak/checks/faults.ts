/** What may go wrong in a soak: broken promises of the server's, and attacks that weren't any. */
export const FAULT_KINDS = [
  /** A message that had to come didn't. */
  "missing",
  /** A message came again. */
  "duplicate",
  /** A message came after a later one of the same publisher's. */
  "reordered",
  /** A frame isn't what was published, byte for byte, or no frame of the protocol. */
  "damaged",
  /** A message came that nobody published, or to someone who wasn't subscribed. */
  "foreign",
  /** A message came although it was published after the unsubscribe was known to be read. */
  "after_unsubscribe",
  /** One publisher's messages don't carry growing timestamps. */
  "timestamp",
  /** A receipt that was asked for didn't come, or one wasn't asked for, doesn't add up or is out of order. */
  "receipt",
  /** The server ended the connection of a client that kept all the rules. */
  "cut",
  /** A client that kept all the rules couldn't connect, or wasn't greeted. */
  "not_connected",
  /** A process of the server's ended that nobody had killed. */
  "process_died",
  /** A worker goes on that was to be replaced. */
  "not_replaced",
  /** A bystander's messages took longer than they may. */
  "late",
  /** The server's processes had more memory than they may. */
  "memory",
  /** An attack did nothing that the server has noticed: the soak's fault, not the server's. */
  "idle_attack",
  /** After all that, the server answered no more, or kept descriptors, or didn't stop as it should. */
  "aftermath",
] as const;

export type FaultKind = typeof FAULT_KINDS[number];

/** As many details as a person reads; those of one kind keep no other kind's away. */
const MAX_DETAILS_OF_A_KIND = 10;

/** The faults of one soak: all counted, the first ones of each kind with details. */
export class Faults {
  readonly counts: Partial<Record<FaultKind, number>> = {};
  readonly details: string[] = [];
  readonly #detailed = new Map<FaultKind, number>();

  /**
   * @param detail One line for people: who, what and where.
   * @param count How many at once.
   */
  add(kind: FaultKind, detail: string, count = 1): void {
    this.counts[kind] = (this.counts[kind] ?? 0) + count;
    const detailed = this.#detailed.get(kind) ?? 0;
    if (detailed === MAX_DETAILS_OF_A_KIND) return;
    this.#detailed.set(kind, detailed + 1);
    this.details.push(`${kind}: ${detail}`);
  }

  get total(): number {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }
}
