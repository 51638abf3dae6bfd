import { splicedLength, spliceMessage, timestampOf } from "../../protocol/encoder.ts";
import type { MemoryBudget } from "../flow/memory_budget.ts";
import { SharedChunk } from "../flow/shared_chunk.ts";
import type { Origin } from "./origins.ts";

/** The acceptance of the messages of a batch. */
export interface Acceptance {
  /** The least timestamp of its messages, in microseconds since the Unix epoch. */
  readonly micros: number;
  /** The time at which this process got the first of them, in milliseconds on a monotonic clock. */
  readonly sinceMs: number;
}

/** Successive messages of a topic that one origin accepted. */
export interface Run {
  readonly origin: Origin;
  /** The number of the first one. The run ends before the next run, or with its stretch. */
  readonly first: number;
}

/** Successive messages of a topic, encoded. Each message has a number, one more than the one before. */
export interface Stretch {
  /** The number of the first message. */
  readonly first: number;
  /** The number behind the last message. */
  readonly end: number;
  /** At least one, in the order of the messages. */
  readonly runs: readonly Run[];
  /** The encoded messages, from offset 0 on. Only read. */
  readonly bytes: Uint8Array;
  /** The offset at which a message begins; for {@linkcode end} the offset behind the last. */
  offsetOf(number: number): number;
}

/** The timestamp of a message, in microseconds since the Unix epoch. */
export function microsOf(stretch: Stretch, number: number): number {
  return timestampOf(stretch.bytes, stretch.offsetOf(number));
}

/** The number behind the last message of a stretch's run. */
export function endOfRun({ runs, end }: Stretch, index: number): number {
  return runs[index + 1]?.first ?? end;
}

/** Messages whose passes aren't observed. */
const UNOBSERVED: Acceptance = { micros: 0, sinceMs: 0 };

/** The parts of a {@linkcode Batch}. */
export interface BatchParts {
  /** The number of the first message. */
  readonly first: number;
  /** The number behind the last one. */
  readonly end: number;
  /** The offset of each message's end; absent for a single message, which takes all bytes. */
  readonly ends: readonly number[] | undefined;
  /** Absent if one origin accepted all messages. */
  readonly severalRuns: readonly Run[] | undefined;
  /** The origin of the first message. */
  readonly origin: Origin;
  /** The last message's timestamp. */
  readonly lastMicros: number;
}

/**
 * Messages of one topic, encoded once, which each subscriber gets in one write. Most topics have one message
 * at a time, so that takes no more than this object and its bytes.
 */
export class Batch extends SharedChunk implements Stretch {
  readonly first: number;
  readonly end: number;
  /** The acceptance of its messages; counted only if passes are observed. */
  readonly accepted: Acceptance;
  /** The origin of all of its messages; absent if there are several. */
  readonly soleOrigin: Origin | undefined;
  /** The last message's timestamp. */
  readonly lastMicros: number;
  /** The number of subscribers that have been handed it so far. */
  reached = 0;
  /** True if a connection keeps a part of it for a later write, together with other topics' parts. */
  hasLeftPieces = false;
  readonly #ends: readonly number[] | undefined;
  #runs: readonly Run[] | undefined;

  constructor(
    { first, end, ends, severalRuns, origin, lastMicros }: BatchParts,
    bytes: Uint8Array,
    budget: MemoryBudget,
    accepted: Acceptance = UNOBSERVED,
  ) {
    super(bytes, budget);
    this.first = first;
    this.end = end;
    this.accepted = accepted;
    this.soleOrigin = severalRuns === undefined ? origin : undefined;
    this.lastMicros = lastMicros;
    this.#ends = ends;
    this.#runs = severalRuns;
  }

  get runs(): readonly Run[] {
    return this.#runs ??= [{ origin: this.soleOrigin as Origin, first: this.first }];
  }

  offsetOf(number: number): number {
    if (number <= this.first) return 0;
    return this.#ends === undefined ? this.bytes.byteLength : this.#ends[number - this.first - 1]!;
  }

  /** The messages from number `next` on, which must be below {@linkcode end}. */
  chunkFrom(next: number): SharedChunk {
    if (next <= this.first) return this;
    return this.slice(this.offsetOf(next), this.bytes.byteLength);
  }

  /** The messages from number `from` to before number `to`. */
  chunkOf(from: number, to: number): SharedChunk {
    if (to === this.end) return this.chunkFrom(from);
    return this.slice(this.offsetOf(from), this.offsetOf(to));
  }
}

/** Bytes up to which small batches are joined, so that a subscriber that reads them later costs fewer writes. */
export const MAX_JOINED_BYTES = 64 * 1024;

/** One batch with the messages of several successive ones. Their bytes are copied. */
export function joinBatches(batches: readonly Batch[], budget: MemoryBudget): Batch {
  const bytes = new Uint8Array(batches.reduce((sum, batch) => sum + batch.bytes.byteLength, 0));
  const ends: number[] = [];
  const runs: Run[] = [];
  let offset = 0;
  for (const batch of batches) {
    bytes.set(batch.bytes, offset);
    for (let n = batch.first; n < batch.end; n++) ends.push(offset + batch.offsetOf(n + 1));
    for (const run of batch.runs) if (runs.at(-1)?.origin !== run.origin) runs.push(run);
    offset += batch.bytes.byteLength;
  }
  const { first } = batches[0] as Batch;
  const { end, lastMicros } = batches.at(-1) as Batch;
  return batchOf({ first, end, ends, lastMicros }, runs, bytes, budget);
}

/** A batch of these runs, of which there is at least one. */
export function batchOf(
  parts: Pick<BatchParts, "first" | "end" | "ends" | "lastMicros">,
  runs: readonly Run[],
  bytes: Uint8Array,
  budget: MemoryBudget,
): Batch {
  const { origin } = runs[0] as Run;
  const severalRuns = runs.length > 1 ? runs : undefined;
  return new Batch({ ...parts, origin, severalRuns }, bytes, budget);
}

/**
 * The most bytes of collected messages that are copied for a leaver. A larger remainder seals the batch
 * instead. So frequent leavers can't shrink everyone's batches.
 */
export const MAX_COPIED_REST_BYTES = 4 * 1024;

const NOTHING = new Uint8Array(0);

/** A buffer larger than this many times its content is copied to one that fits before it is kept. */
const MAX_SLACK = 1.25;

/** A buffer grows at most so many times at once, though the topic's last batch was larger yet. */
const MAX_GROWTH = 8;

/** Collects a topic's messages until its next pass begins. */
export class Collection implements Stretch, BatchParts {
  readonly #budget: MemoryBudget;
  #buffer: Uint8Array | undefined;
  #length = 0;
  #ends: number[] | undefined;
  #accepted: Acceptance | undefined;
  #runs: Run[] | undefined;
  #origin: Origin | undefined;
  #lastOrigin: Origin | undefined;
  #lastMicros = 0;
  #first: number;
  #end: number;
  /** Bytes of the last batch of several messages; the next one is expected to be as large. */
  #usualBytes = 0;

  /** @param first The number of the first message to arrive. */
  constructor(budget: MemoryBudget, first: number) {
    this.#budget = budget;
    this.#first = this.#end = first;
  }

  get first(): number {
    return this.#first;
  }

  /** The number of the next message to arrive. */
  get end(): number {
    return this.#end;
  }

  get ends(): readonly number[] | undefined {
    return this.#ends;
  }

  get origin(): Origin {
    return this.#origin as Origin;
  }

  get lastMicros(): number {
    return this.#lastMicros;
  }

  get severalRuns(): readonly Run[] | undefined {
    return this.#runs;
  }

  get runs(): readonly Run[] {
    if (this.#origin === undefined) return [];
    return this.#runs ?? [{ origin: this.#origin, first: this.#first }];
  }

  get bytes(): Uint8Array {
    return this.#buffer ?? NOTHING;
  }

  offsetOf(number: number): number {
    if (number <= this.#first) return 0;
    return this.#ends === undefined ? this.#length : this.#ends[number - this.#first - 1]!;
  }

  /** The number of bytes collected. */
  get byteLength(): number {
    return this.#length;
  }

  /** The number of bytes of the messages from number `next` on. */
  bytesFrom(next: number): number {
    return this.#length - this.offsetOf(next);
  }

  /** A copy of the messages from number `next` on, which stay collected too. */
  copyFrom(next: number): Uint8Array {
    return this.bytes.slice(this.offsetOf(next), this.#length);
  }

  /**
   * Notes that a message is about to be appended.
   *
   * @param micros Its timestamp.
   * @param readMs A monotonic clock in milliseconds.
   */
  noteAccepted(micros: number, readMs: () => number): void {
    const accepted = this.#accepted;
    if (accepted === undefined) this.#accepted = { micros, sinceMs: readMs() };
    else if (micros < accepted.micros) this.#accepted = { ...accepted, micros };
  }

  /** Encodes a message after the others. `message` is copied. */
  append(origin: Origin, micros: number, message: Uint8Array): void {
    const before = this.#length;
    const needed = before + splicedLength(message.byteLength);
    if (this.#buffer === undefined || this.#buffer.byteLength < needed) this.#grow(needed);
    this.#length = spliceMessage(this.#buffer as Uint8Array, before, micros, message);
    if (before === 0) this.#origin = this.#lastOrigin = origin;
    else {
      (this.#ends ??= [before]).push(this.#length);
      if (origin !== this.#lastOrigin) this.#beginRun(origin);
    }
    this.#lastMicros = micros;
    this.#end++;
  }

  #beginRun(origin: Origin): void {
    this.#runs ??= [{ origin: this.origin, first: this.#first }];
    this.#runs.push({ origin, first: this.#end });
    this.#lastOrigin = origin;
  }

  /** Takes the collected messages as a batch, if there are any. It is retained once for the caller. */
  seal(): Batch | undefined {
    const buffer = this.#buffer;
    if (buffer === undefined) return undefined;
    const batch = new Batch(this, this.#takeBytes(buffer), this.#budget, this.#accepted);
    batch.retain();
    this.#budget.release(buffer.byteLength);
    this.#first = this.#end;
    this.#accepted = undefined;
    if (this.#ends !== undefined) {
      this.#ends = undefined;
      this.#usualBytes = this.#length;
    }
    this.#runs = undefined;
    this.#origin = this.#lastOrigin = undefined;
    this.#buffer = undefined;
    this.#length = 0;
    return batch;
  }

  #takeBytes(buffer: Uint8Array): Uint8Array {
    const length = this.#length;
    if (buffer.byteLength === length) return buffer;
    return buffer.byteLength > length * MAX_SLACK
      ? buffer.slice(0, length)
      : buffer.subarray(0, length);
  }

  #grow(needed: number): void {
    const old = this.#buffer;
    const buffer = new Uint8Array(old === undefined ? needed : this.#roomFor(needed));
    if (old !== undefined) {
      buffer.set(old.subarray(0, this.#length));
      this.#budget.release(old.byteLength);
    }
    this.#budget.hold(buffer.byteLength);
    this.#buffer = buffer;
  }
  /** A lone message, the usual case, gets a buffer of its own size; a second one makes room for many. */
  #roomFor(needed: number): number {
    const twice = Math.max(needed, 1024) * 2;
    const usual = Math.min(this.#usualBytes * MAX_SLACK, needed * MAX_GROWTH);
    return Math.max(twice, Math.floor(usual));
  }
}
