import { type Batch, endOfRun, microsOf } from "./batch.ts";
import type { Origin } from "./origins.ts";

/** Dropped batches stay in front of the array until there are so many, and they are the larger part. */
const MIN_COMPACTION = 32;

/** A topic's limits on its log. */
export interface LogLimits {
  readonly historyMessages: number;
  readonly historyBytes: number;
}

/** A stored batch, in its log and among all stored batches. Only the log and the history write to it. */
export class StoredBatch {
  readonly log: TopicLog;
  readonly batch: Batch;
  /** The time on the coarse clock from which its age counts. */
  readonly sinceMs: number;
  /** Its neighbours among all stored batches, by age. */
  older: StoredBatch | undefined;
  newer: StoredBatch | undefined;

  constructor(log: TopicLog, batch: Batch, sinceMs: number) {
    this.log = log;
    this.batch = batch;
    this.sinceMs = sinceMs;
  }
}

/** The newest timestamps of one origin's messages in a topic. */
export interface Trace {
  /** The timestamp of the origin's newest message that was stored. */
  last: number;
  /** The timestamp of its newest message that is no longer stored; -1 if none is. */
  dropped: number;
}

const NO_TRACE: Trace = { last: -1, dropped: -1 };

/** For each origin a timestamp up to which messages may be missing. */
export type Floors = ReadonlyMap<Origin, number>;

/**
 * The messages of one topic that are stored, in the order of this process: sealed batches as the fan-out made
 * them. It answers exactly which of its last `historyMessages` messages, in `historyBytes`, are there; memory
 * is freed by whole batches.
 */
export class TopicLog {
  readonly topic: string;
  /** Messages of the topic from before it had this log; see {@linkcode Floors}. */
  readonly floors: Floors;
  /** The topics that use it now: while there is one, it isn't forgotten. */
  users = 0;
  readonly #traces = new Map<Origin, Trace>();
  /** The origin that was looked up last, and its trace. */
  #lastOrigin: Origin | undefined;
  #lastTrace: Trace = NO_TRACE;
  #stored: StoredBatch[] = [];
  #head = 0;
  /** The number of the first message that counts as stored. */
  #first: number;
  #end: number;
  /** Bytes of the messages that count as stored. */
  #bytes = 0;

  constructor(topic: string, floors: Floors) {
    this.topic = topic;
    this.floors = floors;
    this.#first = this.#end = 0;
  }

  /** The number of the oldest message that counts as stored. */
  get first(): number {
    return this.#first;
  }

  /** The number behind the newest stored message. */
  get end(): number {
    return this.#end;
  }

  /** The number of stored messages. */
  get size(): number {
    return this.#end - this.#first;
  }

  get isEmpty(): boolean {
    return this.#head === this.#stored.length;
  }

  /** The oldest stored batch. */
  get oldest(): StoredBatch | undefined {
    return this.#stored[this.#head];
  }

  /** All origins that have published to the topic, as far as is known. */
  get traces(): ReadonlyMap<Origin, Trace> {
    return this.#traces;
  }

  /** The stored batches, the newest first. Nothing may be stored or dropped meanwhile. */
  *newestFirst(): Generator<Batch> {
    for (let i = this.#stored.length - 1; i >= this.#head; i--) {
      yield (this.#stored[i] as StoredBatch).batch;
    }
  }

  /** The stored batches, the oldest first, in a new array. */
  list(): StoredBatch[] {
    return this.#stored.slice(this.#head);
  }

  /** The stored batch that has the message of this number, if it is there. */
  batchWith(number: number): Batch | undefined {
    return this.#stored[this.#indexWith(number)]?.batch;
  }

  /** The batches from the one with message `number` on that are no more than so many bytes together. */
  smallFrom(number: number, maxBytes: number): StoredBatch[] {
    const start = this.#indexWith(number);
    const small: StoredBatch[] = [];
    let bytes = 0;
    for (let i = start; i >= 0 && i < this.#stored.length; i++) {
      const stored = this.#stored[i] as StoredBatch;
      bytes += stored.batch.bytes.byteLength;
      if (bytes > maxBytes || stored.batch.first < this.#first) break;
      small.push(stored);
    }
    return small;
  }

  /** Puts a batch in the place of successive ones, whose messages it has. */
  replace(parts: readonly StoredBatch[], joined: StoredBatch): void {
    const index = this.#stored.indexOf(parts[0] as StoredBatch, this.#head);
    this.#stored.splice(index, parts.length, joined);
  }

  /** The index of the stored batch that has the message of this number; -1 if none has. */
  #indexWith(number: number): number {
    let low = this.#head;
    let high = this.#stored.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const { batch } = this.#stored[middle] as StoredBatch;
      if (number < batch.first) high = middle;
      else if (number >= batch.end) low = middle + 1;
      else return middle;
    }
    return -1;
  }

  /** Adds a batch behind the others. */
  append(stored: StoredBatch): void {
    const { batch } = stored;
    if (this.isEmpty) this.#first = batch.first;
    this.#stored.push(stored);
    this.#end = batch.end;
    this.#bytes += batch.bytes.byteLength;
    this.#noteAll(batch);
  }

  /**
   * Adds older batches in front of the others.
   *
   * @param stored The oldest first; the last one must end where the log begins.
   */
  prepend(stored: readonly StoredBatch[]): void {
    const [oldest] = stored;
    if (oldest === undefined) return;
    if (this.isEmpty) this.#end = (stored.at(-1) as StoredBatch).batch.end;
    this.#stored = [...stored, ...this.#stored.slice(this.#head)];
    this.#head = 0;
    this.#first = oldest.batch.first;
    for (const { batch } of stored) {
      this.#bytes += batch.bytes.byteLength;
      this.#noteAll(batch);
    }
  }

  /** True if its oldest batch has messages that don't count as stored, since there are enough behind them. */
  get isTrimmed(): boolean {
    const { oldest } = this;
    return oldest !== undefined && oldest.batch.first < this.#first;
  }

  /** Notes messages that can't be stored, since newer ones aren't stored either. */
  skip(batch: Batch): void {
    for (let i = 0; i < batch.runs.length; i++) {
      const trace = this.#traceOf(batch.runs[i]!.origin);
      trace.dropped = Math.max(trace.dropped, microsOf(batch, endOfRun(batch, i) - 1));
    }
  }

  /** Notes what another process, or this one before it stopped, knew of an origin. */
  addTrace(origin: Origin, last: number, dropped: number): void {
    const trace = this.#traceOf(origin);
    trace.last = Math.max(trace.last, last);
    trace.dropped = Math.max(trace.dropped, dropped);
  }

  /**
   * Drops messages beyond the limits.
   *
   * @returns The oldest batch if none of its messages counts as stored any more, so that it must be dropped;
   * to be called again then.
   */
  trim(limits: LogLimits): StoredBatch | undefined {
    const { historyMessages, historyBytes } = limits;
    if (this.size > historyMessages) this.#moveFirst(this.#end - historyMessages);
    while (this.#bytes > historyBytes) {
      this.#moveFirst(this.#firstWithout(this.#bytes - historyBytes));
    }
    const oldest = this.#stored[this.#head];
    return oldest !== undefined && oldest.batch.end <= this.#first ? oldest : undefined;
  }

  /** Drops the oldest batch, which must be there. */
  dropOldest(): void {
    const { batch } = this.#stored[this.#head] as StoredBatch;
    if (this.#first < batch.end) this.#moveFirst(batch.end);
    this.#stored[this.#head++] = undefined as unknown as StoredBatch;
    if (this.#head === this.#stored.length) {
      this.#stored.length = this.#head = 0;
    } else if (this.#head >= MIN_COMPACTION && this.#head * 2 >= this.#stored.length) {
      this.#stored.splice(0, this.#head);
      this.#head = 0;
    }
  }

  /** The number of the first message behind so many surplus bytes, or the end of the oldest batch. */
  #firstWithout(surplusBytes: number): number {
    const { batch } = this.#stored[this.#indexOfFirst()] as StoredBatch;
    return firstBehind(batch, batch.offsetOf(Math.max(this.#first, batch.first)) + surplusBytes);
  }

  /** The index of the oldest batch of which a message counts as stored. */
  #indexOfFirst(): number {
    let index = this.#head;
    while ((this.#stored[index] as StoredBatch).batch.end <= this.#first) index++;
    return index;
  }

  #moveFirst(first: number): void {
    for (let i = this.#indexOfFirst(); i < this.#stored.length; i++) {
      const { batch } = this.#stored[i] as StoredBatch;
      if (batch.first >= first) break;
      const from = Math.max(batch.first, this.#first);
      this.#bytes -= batch.offsetOf(Math.min(batch.end, first)) - batch.offsetOf(from);
      if (batch.soleOrigin !== undefined && batch.end <= first) {
        const trace = this.#traceOf(batch.soleOrigin);
        trace.dropped = Math.max(trace.dropped, batch.lastMicros);
      } else this.#noteDropped(batch, from, first);
    }
    this.#first = first;
  }

  #noteDropped(batch: Batch, from: number, to: number): void {
    for (let run = 0; run < batch.runs.length; run++) {
      const { origin, first } = batch.runs[run]!;
      const end = Math.min(endOfRun(batch, run), to);
      if (end <= first || end <= from) continue;
      const trace = this.#traceOf(origin);
      trace.dropped = Math.max(trace.dropped, microsOf(batch, end - 1));
    }
  }

  #noteAll(batch: Batch): void {
    if (batch.soleOrigin !== undefined) return this.#note(batch.soleOrigin, batch.lastMicros);
    for (const [run, { origin }] of batch.runs.entries()) {
      this.#note(origin, microsOf(batch, endOfRun(batch, run) - 1));
    }
  }

  #note(origin: Origin, micros: number): void {
    const trace = this.#traceOf(origin);
    if (micros > trace.last) trace.last = micros;
  }

  #traceOf(origin: Origin): Trace {
    if (origin === this.#lastOrigin) return this.#lastTrace;
    let trace = this.#traces.get(origin);
    if (trace === undefined) {
      trace = { last: -1, dropped: -1 };
      this.#traces.set(origin, trace);
    }
    this.#lastOrigin = origin;
    return this.#lastTrace = trace;
  }
}

/** The number of the first message of a batch that begins at offset `bytes` or behind it. */
function firstBehind(batch: Batch, bytes: number): number {
  let low = batch.first;
  let high = batch.end;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (batch.offsetOf(middle) >= bytes) high = middle;
    else low = middle + 1;
  }
  return low;
}
