/** The kinds of faults in a soak: broken promises of the server, and attacks that didn't attack. */
const FAULT_KINDS = [
  /** A message that had to arrive didn't. */
  "missing",
  /** A client of the library was told that messages may be missing, and nothing explains it. */
  "gap",
  /** A message arrived twice. */
  "duplicate",
  /** A message arrived after a later one of the same publisher. */
  "reordered",
  /** A frame differs from the published message, or is no frame of the protocol. */
  "damaged",
  /** A message arrived that no client published, or at a client that wasn't subscribed. */
  "foreign",
  /** A message arrived that was published after the server had read the unsubscribe. */
  "after_unsubscribe",
  /** One publisher's messages don't have growing timestamps. */
  "timestamp",
  /**
   * A requested receipt didn't arrive, or a receipt wasn't requested, doesn't add up or is out of order.
   */
  "receipt",
  /**
   * What the server said to a subscriber that came back isn't so: of what follows, of who accepted it, or of
   * who crashed.
   */
  "resume",
  /** A subscriber came back and was told that something is lost, though the history must have had all. */
  "not_recovered",
  /** The server ended the connection of a client that kept all the rules. */
  "cut",
  /** A client that kept all the rules couldn't connect, or wasn't greeted. */
  "not_connected",
  /** A process of the server ended though it wasn't killed. */
  "process_died",
  /** A worker that had to be replaced goes on. */
  "not_replaced",
  /** A bystander's messages took longer than allowed. */
  "late",
  /** The server's processes used more memory than allowed. */
  "memory",
  /** An attack did nothing that the server noticed: the soak's fault, not the server's. */
  "idle_attack",
  /** At the end, the server didn't answer, kept descriptors, or didn't stop as it should. */
  "aftermath",
] as const;

export type FaultKind = typeof FAULT_KINDS[number];

/** The most details of one kind, so that they don't hide those of other kinds. */
const MAX_DETAILS_OF_A_KIND = 10;

/** The faults of one soak: all are counted, and the first ones of each kind have details. */
export class Faults {
  readonly counts: Partial<Record<FaultKind, number>> = {};
  readonly details: string[] = [];
  readonly #detailed = new Map<FaultKind, number>();
  readonly #nowMs: () => number;

  /** @param nowMs A clock that begins with the command, as that of the strikes' records. */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /**
   * @param detail One line for people, with the client, the fault and the place.
   * @param count The number of faults.
   */
  add(kind: FaultKind, detail: string, count = 1): void {
    this.counts[kind] = (this.counts[kind] ?? 0) + count;
    const detailed = this.#detailed.get(kind) ?? 0;
    if (detailed === MAX_DETAILS_OF_A_KIND) return;
    this.#detailed.set(kind, detailed + 1);
    this.details.push(`${kind} at ${Math.round(this.#nowMs() / 1000)} s: ${detail}`);
  }

  get total(): number {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }
}
