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

/** Readers are looked at for that again when the log has grown by this share of what may wait for one. */
const JUDGED_SHARE = 1 / 128;

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
  /** The entry that its batch was joined with, if it was: its readers stand in that one. */
  joinedTo: Entry | undefined;
}

/** A subscription that reads the log. */
export interface LogReader {
  readonly subscription: Subscription;
  /** The number of the message that it reads next. */
  readonly next: number;
  readonly pace: Pace;
  /** Bytes that wait for its subscriber elsewhere, as far as they were added up. */
  readonly otherBytes: number;
  /** True if its subscriber has so much to read in all logs together that publishers wait for it. */
  readonly isLaden: boolean;
  /** Where it stands in the log; only the log writes it. */
  entry: Entry;
  /** True if publishers wait while it has too much to read; only the log writes it. */
  isAwaited: boolean;
  /** True if they wait for it whatever it has to read here; only the log writes it. */
  holdsPublishers: boolean;
}

/**
 * The batches of a topic that subscribers which are behind have yet to read. It holds each batch once, for all
 * of them, until the last has read it. It exists while a subscriber is behind.
 *
 * Publishers wait while more than the soft limit is to be read by a reader that takes bytes, here or in all
 * logs together. A reader that takes none falls off the log once more than the pending limit waits for its
 * subscriber, in its outbox and in all logs.
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
  /** The number of readers that hold publishers. */
  #holding = 0;
  /** The log's end when its readers were last looked at. */
  #judgedBytes = 0;
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
      if (!this.#isTooMuch(this.#context.softPendingBytes)) return undefined;
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
    if (reader.holdsPublishers) this.#holding--;
    if (reader.pace === "unproven") this.#countProven();
    if (this.isEmpty) this.#keptFrom = Infinity;
    this.#trim();
  }

  /** Notes that a reader has read what is in front of message `reader.next`. */
  advance(reader: LogReader): void {
    const from = placeOf(reader);
    const entry = entryWith(from, reader.next);
    if (entry === from) return;
    this.#leave(reader);
    this.#enter(reader, entry);
    this.#trim();
  }

  /** To be called when a reader's pace has changed, or whether its subscriber is laden. */
  noteChange(reader: LogReader, before: Pace): void {
    if (reader.pace !== before) this.#judgedBytes = 0;
    this.#judgeWait(reader);
    if (before === "unproven" && reader.pace !== "unproven") this.#countProven();
    this.#openIfDue();
  }

  /** The bytes that a reader has yet to read, without those that aren't sealed. */
  bytesBehind(reader: LogReader): number {
    const { batch, startBytes } = placeOf(reader);
    return this.#end.startBytes - startBytes - (batch?.offsetOf(reader.next) ?? 0);
  }

  /** The batch that has the message `reader.next`, joined with small ones behind it, if it is there. */
  batchFor(reader: LogReader): Batch | undefined {
    const entry = placeOf(reader);
    if (entry.batch !== undefined) this.#joinFrom(entry, entry.batch);
    return entry.batch;
  }

  /** Ends readers that are too far behind and don't read. Call it where sessions may end. */
  judge(): void {
    const { maxPendingBytes, softPendingBytes } = this.#context;
    const { startBytes } = this.#end;
    // More may wait for a reader elsewhere: in its outbox, and in other topics' logs.
    if (startBytes - this.#head.startBytes <= softPendingBytes) return;
    // What those that read hold, publishers wait for.
    if (this.#head.readers === this.#head.awaited) return;
    if (startBytes - this.#judgedBytes < maxPendingBytes * JUDGED_SHARE) return;
    this.#judgedBytes = startBytes;
    const fallen: LogReader[] = [];
    for (const reader of this.#readers) {
      if (reader.pace === "reads" || reader.isAwaited) continue;
      if (this.bytesBehind(reader) + reader.otherBytes <= maxPendingBytes) continue;
      if (reader.pace === "stalled" || this.#isTrialOver) fallen.push(reader);
      else this.#beginTrial();
      if (fallen.length === FALLS_AT_ONCE) break;
    }
    // Those that are left are looked at when the next pass ends.
    if (fallen.length === FALLS_AT_ONCE) this.#judgedBytes = 0;
    for (const { subscription } of fallen) subscription.subscriber.fallBehind("too_far");
  }

  #beginTrial(): void {
    this.#mustWait = true;
    this.#trial ??= setTimeout(() => this.#endTrial(), TRIAL_MS);
  }

  #endTrial(): void {
    this.#trial = undefined;
    this.#isTrialOver = true;
    this.#judgedBytes = 0;
    this.judge();
    this.#openIfDue();
  }

  #countProven(): void {
    if (--this.#unproven > 0) return;
    clearTimeout(this.#trial);
    this.#trial = undefined;
    this.#isTrialOver = this.#areMostUnproven = false;
  }

  /** True if a reader that publishers wait for has more than so many bytes to read, or is laden. */
  #isTooMuch(bytes: number): boolean {
    let entry = this.#awaited;
    while (entry.awaited === 0 && entry.next !== undefined) entry = entry.next;
    this.#awaited = entry;
    return this.#holding > 0 || this.#end.startBytes - entry.startBytes > bytes;
  }

  /** Decides anew whether publishers wait for a reader. */
  #judgeWait(reader: LogReader): void {
    const { isAwaited, holdsPublishers, pace } = reader;
    reader.isAwaited = pace === "reads" || pace === "unproven" && this.#areMostUnproven;
    reader.holdsPublishers = reader.isAwaited && reader.isLaden;
    this.#holding += Number(reader.holdsPublishers) - Number(holdsPublishers);
    if (reader.isAwaited === isAwaited) return;
    const entry = placeOf(reader);
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

  #leave(reader: LogReader): void {
    const entry = placeOf(reader);
    entry.readers--;
    if (reader.isAwaited) entry.awaited--;
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
    if (this.#isTooMuch(this.#context.softPendingBytes * CAUGHT_UP_SHARE)) return;
    this.#mustWait = false;
    this.#gate?.open();
  }

  #joinFrom(entry: Entry, first: Batch): void {
    if (first.bytes.byteLength > MAX_JOINED_BYTES / 2) return;
    const parts = [first];
    let bytes = first.bytes.byteLength;
    let next = entry.next as Entry;
    while (next.batch !== undefined) {
      bytes += next.batch.bytes.byteLength;
      if (bytes > MAX_JOINED_BYTES) break;
      parts.push(next.batch);
      // Its readers go on from inside the joined batch.
      next.joinedTo = entry;
      entry.readers += next.readers;
      entry.awaited += next.awaited;
      next = next.next as Entry;
    }
    if (parts.length === 1) return;
    const joined = joinBatches(parts, this.#context.budget);
    joined.retain();
    for (const part of parts) part.release();
    entry.batch = joined;
    entry.next = next;
    if (this.#lookedUp.joinedTo === entry) this.#lookedUp = entry;
    if (this.#awaited.joinedTo === entry) this.#awaited = entry;
  }
}

function newEntry(startBytes: number): Entry {
  return {
    batch: undefined,
    next: undefined,
    startBytes,
    readers: 0,
    awaited: 0,
    joinedTo: undefined,
  };
}

/** The entry in which a reader stands now. */
function placeOf(reader: LogReader): Entry {
  while (reader.entry.joinedTo !== undefined) reader.entry = reader.entry.joinedTo;
  return reader.entry;
}

/** The entry with message `number`, at `entry` or behind it, or the last one. */
function entryWith(entry: Entry, number: number): Entry {
  let found = entry;
  while (found.batch !== undefined && found.batch.end <= number) found = found.next as Entry;
  return found;
}
