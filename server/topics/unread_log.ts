import type { Runtime } from "../../runtime/types.ts";
import { Gate } from "../flow/gate.ts";
import type { MemoryBudget } from "../flow/memory_budget.ts";
import { type Batch, joinBatches, MAX_JOINED_BYTES } from "../history/batch.ts";
import { CAUGHT_UP_SHARE } from "../limits/clients.ts";
import type { Pace } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";

/**
 * Milliseconds for which publishers wait for subscribers that have drained nothing since they fell behind:
 * long enough for another process to get the processor on a busy machine, and less than a second.
 */
const TRIAL_MS = 500;

/** Readers that fall off at once, at most: thousands may be too far behind. */
const FALLS_AT_ONCE = 64;

/** The parts of the server that these logs use. */
export interface UnreadLogContext {
  readonly runtime: Runtime;
  readonly budget: MemoryBudget;
  /** The most bytes that may wait for one subscriber. */
  readonly maxPendingBytes: number;
  /** Bytes that may wait for one that reads, before publishers wait for it. */
  readonly softPendingBytes: number;
}

/** A batch in the log, or the place of the next one. */
export interface Entry {
  /** Absent from the last entry, until the next batch comes. */
  batch: Batch | undefined;
  next: Entry | undefined;
  /** The bytes of all batches that came before it. */
  readonly startBytes: number;
  /** The number of readers that read it next. */
  readers: number;
  /** The number of those among them that publishers wait for. */
  awaited: number;
}

/** A subscription that reads the log. */
export interface LogReader {
  readonly subscription: Subscription;
  /** The number of the message that it reads next. */
  readonly next: number;
  readonly pace: Pace;
  /** True if its subscription has ended, so that no publisher waits for it. */
  readonly isDetached: boolean;
  /** Where it stands in the log; only the log writes it. */
  entry: Entry;
  /** True if publishers wait for it; only the log writes it. */
  isAwaited: boolean;
}

/**
 * The batches of a topic that subscribers which are behind have yet to read. It holds each batch once, for all
 * of them, until the last has read it. It exists while a subscriber is behind.
 *
 * Publishers wait while more than the soft limit is to be read by a reader that takes bytes. A reader that
 * takes none falls off the log once it has more than the pending limit to read.
 *
 * One that has taken none since it fell behind may be slow or dead. Publishers wait for such ones, too, if most
 * subscribers are: then the publishers were too fast for them. For a few they wait a short time before these
 * fall off, but not again until each of them has drained something, has stalled or is gone.
 */
export class UnreadLog {
  readonly #context: UnreadLogContext;
  readonly #readers = new Set<LogReader>();
  #head: Entry = newEntry(0);
  #end = this.#head;
  /** No entry in front of it has a reader that publishers wait for. */
  #awaited = this.#head;
  /** The entry that was looked up last. */
  #lookedUp = this.#head;
  /** Later passes may leave subscribers behind from this message on. */
  #keptFrom: number;
  #unproven = 0;
  /** True from when most of the topic's subscribers are unproven until none is. */
  #areMostUnproven = false;
  #trial: ReturnType<typeof setTimeout> | undefined;
  #isTrialOver = false;
  #gate: Gate | undefined;
  /** True from when publishers must wait until they may go on. */
  #mustWait = false;

  /** @param keptFrom The number behind the last message of the pass in which a subscriber falls behind. */
  constructor(context: UnreadLogContext, keptFrom: number) {
    this.#context = context;
    this.#keptFrom = keptFrom;
  }

  /** True once no subscriber is behind any more: it holds nothing then, and isn't used again. */
  get isEmpty(): boolean {
    return this.#readers.size === 0;
  }

  /** Adds a batch behind the others. */
  append(batch: Batch): void {
    batch.retain();
    const last = this.#end;
    last.batch = batch;
    this.#end = last.next = newEntry(last.startBytes + batch.bytes.byteLength);
  }

  /** Notes that a pass begins whose last message is the one before number `end`. */
  notePass(end: number): void {
    this.#keptFrom = end;
    this.#trim();
  }

  /** The gate at which publishers must wait; `undefined` if they needn't. */
  get gate(): Gate | undefined {
    if (!this.#mustWait) {
      if (this.#awaitedBytes <= this.#context.softPendingBytes) return undefined;
      this.#mustWait = true;
    }
    return this.#gate ??= new Gate(this.#context.runtime, "slow_subscribers");
  }

  /** Adds a reader, which reads from message `reader.next` on. */
  add(reader: LogReader): void {
    let entry = this.#lookedUp;
    if (entry.batch !== undefined && entry.batch.first > reader.next) entry = this.#head;
    entry = entryWith(entry, reader.next);
    this.#lookedUp = entry;
    this.#readers.add(reader);
    this.#enter(reader, entry);
    if (reader.pace !== "unproven") return this.#judgeWait(reader);
    this.#unproven++;
    if (this.#areMostUnproven) return this.#judgeWait(reader);
    this.#areMostUnproven = this.#unproven * 2 > reader.subscription.topic.subscriberCount;
    if (!this.#areMostUnproven) return;
    for (const one of this.#readers) this.#judgeWait(one);
  }

  /** Removes a reader. */
  remove(reader: LogReader): void {
    if (!this.#readers.delete(reader)) return;
    this.#leave(reader);
    if (reader.pace === "unproven") this.#countProven();
    if (this.isEmpty) this.#keptFrom = Infinity;
    this.#trim();
  }

  /** Notes that a reader has read what is in front of message `reader.next`. */
  advance(reader: LogReader): void {
    const entry = entryWith(reader.entry, reader.next);
    if (entry === reader.entry) return;
    this.#leave(reader);
    this.#enter(reader, entry);
    this.#trim();
  }

  /** To be called when a reader's pace has changed, or its subscription has ended. */
  noteChange(reader: LogReader, before: Pace): void {
    this.#judgeWait(reader);
    if (before === "unproven" && reader.pace !== "unproven") this.#countProven();
    this.#openIfDue();
  }

  /** The bytes that a reader has yet to read, without those that aren't sealed. */
  bytesBehind({ entry }: LogReader): number {
    return this.#end.startBytes - entry.startBytes;
  }

  /** The batch that has the message `reader.next`, joined with small ones behind it, if it is there. */
  batchFor({ entry }: LogReader): Batch | undefined {
    if (entry.batch !== undefined) this.#joinFrom(entry, entry.batch);
    return entry.batch;
  }

  /** Ends readers that are too far behind and don't read. Call it where sessions may end. */
  judge(): void {
    const { maxPendingBytes, softPendingBytes } = this.#context;
    // More may wait for a reader elsewhere: in its outbox, and in other topics' logs.
    if (this.#end.startBytes - this.#head.startBytes <= softPendingBytes) return;
    // What those that read hold, publishers wait for.
    if (this.#head.readers === this.#head.awaited) return;
    const fallen: LogReader[] = [];
    for (const reader of this.#readers) {
      if (reader.pace === "reads" || reader.isAwaited) continue;
      if (reader.subscription.subscriber.pendingBytes <= maxPendingBytes) continue;
      if (reader.pace === "stalled" || this.#isTrialOver) fallen.push(reader);
      else this.#beginTrial();
      if (fallen.length === FALLS_AT_ONCE) break;
    }
    for (const { subscription } of fallen) subscription.subscriber.fallBehind("too_far");
  }

  #beginTrial(): void {
    this.#mustWait = true;
    this.#trial ??= setTimeout(() => this.#endTrial(), TRIAL_MS);
  }

  #endTrial(): void {
    this.#trial = undefined;
    this.#isTrialOver = true;
    this.judge();
    this.#openIfDue();
  }

  #countProven(): void {
    if (--this.#unproven > 0) return;
    clearTimeout(this.#trial);
    this.#trial = undefined;
    this.#isTrialOver = this.#areMostUnproven = false;
  }

  get #awaitedBytes(): number {
    let entry = this.#awaited;
    while (entry.awaited === 0 && entry.next !== undefined) entry = entry.next;
    this.#awaited = entry;
    return this.#end.startBytes - entry.startBytes;
  }

  /** Decides anew whether publishers wait for a reader. */
  #judgeWait(reader: LogReader): void {
    const { entry, isAwaited, pace, isDetached } = reader;
    const isUntried = pace === "unproven" && this.#areMostUnproven;
    reader.isAwaited = !isDetached && (pace === "reads" || isUntried);
    if (reader.isAwaited === isAwaited) return;
    if (isAwaited) entry.awaited--;
    else this.#await(entry);
  }

  #await(entry: Entry): void {
    entry.awaited++;
    if (entry.startBytes < this.#awaited.startBytes) this.#awaited = entry;
  }

  #enter(reader: LogReader, entry: Entry): void {
    reader.entry = entry;
    entry.readers++;
    if (reader.isAwaited) this.#await(entry);
  }

  #leave({ entry, isAwaited }: LogReader): void {
    entry.readers--;
    if (isAwaited) entry.awaited--;
  }

  #trim(): void {
    const keptFrom = this.#keptFrom;
    for (let head = this.#head; head.readers === 0;) {
      if (head.batch === undefined || head.batch.end > keptFrom) break;
      head.batch.release();
      this.#head = head = head.next as Entry;
    }
    // Neither may keep what has been read alive.
    const { startBytes } = this.#head;
    if (this.#lookedUp.startBytes < startBytes) this.#lookedUp = this.#head;
    if (this.#awaited.startBytes < startBytes) this.#awaited = this.#head;
    this.#openIfDue();
  }

  #openIfDue(): void {
    if (!this.#mustWait || this.#trial !== undefined) return;
    const { softPendingBytes } = this.#context;
    if (this.#awaitedBytes > softPendingBytes * CAUGHT_UP_SHARE) return;
    this.#mustWait = false;
    this.#gate?.open();
  }

  #joinFrom(entry: Entry, first: Batch): void {
    if (first.bytes.byteLength > MAX_JOINED_BYTES / 2) return;
    const parts = [first];
    let bytes = first.bytes.byteLength;
    let next = entry.next as Entry;
    while (next.batch !== undefined && next.readers === 0) {
      bytes += next.batch.bytes.byteLength;
      if (bytes > MAX_JOINED_BYTES) break;
      parts.push(next.batch);
      next = next.next as Entry;
    }
    if (parts.length === 1) return;
    const joined = joinBatches(parts, this.#context.budget);
    joined.retain();
    for (const part of parts) part.release();
    entry.batch = joined;
    entry.next = next;
    const { startBytes } = this.#lookedUp;
    if (startBytes > entry.startBytes && startBytes < next.startBytes) this.#lookedUp = entry;
  }
}

function newEntry(startBytes: number): Entry {
  return { batch: undefined, next: undefined, startBytes, readers: 0, awaited: 0 };
}

/** The entry with message `number`, at `entry` or behind it, or the last one. */
function entryWith(entry: Entry, number: number): Entry {
  let found = entry;
  while (found.batch !== undefined && found.batch.end <= number) found = found.next as Entry;
  return found;
}
