import type { FaultKind } from "./faults.ts";

/** The fate of a message, as far as its publisher knows. */
type Outcome = "sent" | "accepted" | "unknown" | "refused";

/** The numbers of one publisher's connection. They are accepted in their order, if at all. */
type Lane = number;

interface Entry {
  readonly lane: Lane;
  outcome: Outcome;
  hasArrived: boolean;
  /** The reader was told since then that messages may be missing. */
  isExcused: boolean;
  /** A later message of its lane has arrived. */
  isSkipped: boolean;
}

/** Entries that are done with are forgotten when there are so many. */
const MANY = 10_000;

/**
 * Checks that each message that a server has accepted arrives once, in the order of its publisher's
 * connection, unless the reader was told of a gap.
 */
export class LibraryLedger {
  /** Messages whose receipt came. */
  accepted = 0;
  /** Messages of which it isn't known whether they were accepted. */
  unknown = 0;
  /** Messages that arrived as they should. */
  delivered = 0;
  readonly #onFault: (kind: FaultKind, detail: string, count: number) => void;
  readonly #entries = new Map<number, Entry>();
  /** The last number that arrived, by lane. */
  readonly #last = new Map<Lane, number>();
  #next = 0;
  /** Numbers below have all been forgotten. */
  #forgotten = 0;

  /** @param onFault Called with each fault, and how many messages it is about. */
  constructor(onFault: (kind: FaultKind, detail: string, count: number) => void) {
    this.#onFault = onFault;
  }

  /** Notes that a message is about to be sent. @returns its number. */
  send(lane: Lane): number {
    const number = this.#next++;
    const entry = { hasArrived: false, isExcused: false, isSkipped: false };
    this.#entries.set(number, { lane, outcome: "sent", ...entry });
    return number;
  }

  /** Notes what has become of it. */
  settle(number: number, outcome: Exclude<Outcome, "sent">): void {
    if (outcome === "accepted") this.accepted++;
    if (outcome === "unknown") this.unknown++;
    const entry = this.#entries.get(number);
    if (entry === undefined) return;
    entry.outcome = outcome;
    this.#judgeSkipped(number, entry);
    if (outcome === "refused" && entry.hasArrived) {
      this.#onFault("foreign", `message ${number} arrived, which was said not to be sent`, 1);
    }
  }

  /** Checks a message that has arrived. */
  receive(number: number): void {
    const entry = this.#entries.get(number);
    if (entry === undefined) {
      const kind = number < this.#forgotten ? "duplicate" : "foreign";
      return this.#onFault(kind, `message ${number}`, 1);
    }
    if (entry.hasArrived) return this.#onFault("duplicate", `message ${number}`, 1);
    entry.hasArrived = true;
    this.delivered++;
    if (entry.outcome === "refused") {
      this.#onFault("foreign", `message ${number} arrived, which was said not to be sent`, 1);
    }
    const last = this.#last.get(entry.lane) ?? -1;
    if (number < last) {
      return this.#onFault("reordered", `message ${number} behind ${last}`, 1);
    }
    this.#last.set(entry.lane, number);
    for (let before = number - 1; before > last; before--) {
      const skipped = this.#entries.get(before);
      if (skipped?.lane !== entry.lane) break;
      skipped.isSkipped = true;
      this.#judgeSkipped(before, skipped);
    }
    if (this.#entries.size > MANY) this.#forget();
  }

  /** Reports an accepted message that was skipped: it won't come behind later ones any more. */
  #judgeSkipped(number: number, { outcome, isSkipped, isExcused }: Entry): void {
    if (!isSkipped || isExcused || outcome !== "accepted") return;
    this.#onFault("missing", `message ${number}, which was accepted, though later ones came`, 1);
  }

  /** Notes that the reader was told of a gap: what was sent by now and hasn't arrived may be missing. */
  excuse(): void {
    for (const entry of this.#entries.values()) entry.isExcused = true;
  }

  /** Accepted messages that have yet to arrive. */
  get owed(): number[] {
    const owed: number[] = [];
    for (const [number, entry] of this.#entries) if (isOwed(entry)) owed.push(number);
    return owed;
  }

  /** True if it isn't known yet what has become of some. */
  get isWaiting(): boolean {
    return [...this.#entries.values()].some(({ outcome }) => outcome === "sent");
  }

  /** Reports what has never arrived. */
  close(): void {
    const { owed } = this;
    if (owed.length === 0) return;
    const some = owed.slice(0, 5).join(", ");
    this.#onFault("missing", `${owed.length} accepted messages: ${some}`, owed.length);
  }

  /** Forgets the oldest messages, up to the first that may still arrive. */
  #forget(): void {
    while (this.#entries.size > MANY / 2) {
      const entry = this.#entries.get(this.#forgotten)!;
      if (entry.outcome === "sent" || isOwed(entry)) return;
      this.#entries.delete(this.#forgotten++);
    }
  }
}

function isOwed({ outcome, hasArrived, isExcused, isSkipped }: Entry): boolean {
  return outcome === "accepted" && !hasArrived && !isExcused && !isSkipped;
}
