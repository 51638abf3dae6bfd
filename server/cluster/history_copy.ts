import { type ImageBounds, imageOf, ImageReader, isLastRecord } from "../history/image.ts";
import type { History } from "../history/history.ts";
import type { Origin, Origins } from "../history/origins.ts";
import type { MemoryBudget } from "../flow/memory_budget.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";

/** Bytes of a history that may wait in a link at once: publishers must not wait for it. */
const MAX_PENDING_BYTES = 256 * 1024;

/**
 * Milliseconds for which a copy waits for news of a process that is said to have published something, and with
 * which the process that joins has no link: most likely it has just died.
 */
const UNLINKED_PATIENCE_MS = 2_000;

/** The parts of the server that a copy of the history uses. */
export interface CopyingHost {
  readonly history: History;
  readonly origins: Origins;
  readonly clock: CoarseClock;
  /** The budget of what is stored. */
  readonly historyBudget: MemoryBudget;
  /** Stores what topics have collected. */
  sealTopics(): void;
}

/** The link over which a history is sent. */
export interface CopyingLink {
  readonly pendingBytes: number;
  sendRecord(record: Uint8Array): void;
}

/** Sends this process's history to one that joins, while messages go on. */
export class HistoryExport {
  readonly #host: CopyingHost;
  readonly #link: CopyingLink;
  readonly #wanted: ReadonlyMap<string, number>;
  /** The process that joins. */
  readonly #reader: Origin | undefined;
  readonly #sinceMs: number;
  #records: Generator<Uint8Array> | undefined;
  #isDone = false;

  /** @param wanted For each origin that the reader hears itself, the timestamp up to which it needs a copy. */
  constructor(
    host: CopyingHost,
    link: CopyingLink,
    wanted: ReadonlyMap<string, number>,
    reader: Origin | undefined,
  ) {
    this.#host = host;
    this.#link = link;
    this.#wanted = wanted;
    this.#reader = reader;
    this.#sinceMs = host.clock.nowMs;
  }

  /** True when all is sent. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Sends as much as the link takes. To be called when it has taken some, or when something was heard. */
  pump(): void {
    if (this.#isDone || this.#records === undefined && !this.#begin()) return;
    while (this.#link.pendingBytes < MAX_PENDING_BYTES) {
      const { value, done } = this.#records!.next();
      if (done === true) {
        this.#isDone = true;
        return;
      }
      this.#link.sendRecord(value);
    }
  }

  #begin(): boolean {
    const { history, origins, clock, sealTopics } = this.#host;
    const bounds = this.#bounds();
    if (bounds === undefined) return false;
    sealTopics();
    this.#records = imageOf(history, origins, clock, bounds);
    return true;
  }

  /** For each origin up to where it's copied; `undefined` if not all of that is here yet. */
  #bounds(): ImageBounds | undefined {
    const { origins, clock } = this.#host;
    const bounds = new Map<Origin, number>();
    for (const [name, micros] of this.#wanted) {
      const origin = origins.find(name);
      if (origin === undefined) return undefined;
      if (origin.micros < micros && origin.end === undefined) return undefined;
      bounds.set(origin, micros);
    }
    const isPatient = clock.nowMs - this.#sinceMs < UNLINKED_PATIENCE_MS;
    for (const origin of origins.all()) {
      if (bounds.has(origin)) continue;
      if (origin.end !== undefined) bounds.set(origin, Infinity);
      // The reader hears of the rest as this process does.
      else if (origin.isRemote) bounds.set(origin, origin.micros);
      else if (isPatient && origin !== this.#reader && origin.hasPublished) return undefined;
    }
    return bounds;
  }
}

/** Reads the history that another process sends. What has come is used when all has. */
export class HistoryImport {
  /** Resolves when all is here; rejects when the other process has ended before. */
  readonly done: Promise<void>;
  readonly #host: CopyingHost;
  readonly #records: Uint8Array[] = [];
  #finish!: () => void;
  #fail!: (error: Error) => void;

  constructor(host: CopyingHost) {
    this.#host = host;
    this.done = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    // A rejection that no caller awaits must not end this process.
    this.done.catch(() => {});
  }

  /** Takes the next record, which is copied. */
  take(record: Uint8Array): void {
    this.#records.push(record.slice());
    if (!isLastRecord(record)) return;
    const { history, origins, historyBudget, clock } = this.#host;
    const reader = new ImageReader({ history, origins, budget: historyBudget, clock });
    for (const each of this.#records) reader.take(each);
    this.#finish();
  }

  fail(error: Error): void {
    this.#fail(error);
  }
}
