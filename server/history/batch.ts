import { splicedLength, spliceMessage, timestampOf } from "../../protocol/encoder.ts";
import type { MemoryBudget } from "../flow/memory_budget.ts";
import { SharedChunk } from "../flow/shared_chunk.ts";
import type { Origin } from "./origins.ts";

/** The acceptance of the messages of a batch. */
export interface Acceptance {
  /** The least timestamp of its messages, in microseconds since the Unix epoch. */
  readonly micros: number;
  /** When this process got the first of them, in milliseconds on a monotonic clock. */
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

/** Messages of one topic, encoded once, which each subscriber gets in one write. */
export class Batch implements Stretch {
  readonly first: number;
  readonly end: number;
  readonly runs: readonly Run[];
  /** All of its messages. */
  readonly chunk: SharedChunk;
  /** The acceptance of its messages; counted only if passes are observed. */
  readonly accepted: Acceptance;
  /** Subscribers to whom it was handed so far. */
  reached = 0;
  /** True if a connection keeps a part of it for a later write, together with other topics' parts. */
  hasLeftPieces = false;
  /** The offset of each message's end in the chunk. */
  readonly #ends: readonly number[];

  constructor(
    first: number,
    ends: readonly number[],
    runs: readonly Run[],
    chunk: SharedChunk,
    accepted: Acceptance = { micros: 0, sinceMs: 0 },
  ) {
    this.first = first;
    this.end = first + ends.length;
    this.runs = runs;
    this.#ends = ends;
    this.chunk = chunk;
    this.accepted = accepted;
  }

  get bytes(): Uint8Array {
    return this.chunk.bytes;
  }

  offsetOf(number: number): number {
    return this.#ends[number - this.first - 1] ?? 0;
  }

  /** The messages from number `next` on, which must be below {@linkcode end}. */
  chunkFrom(next: number): SharedChunk {
    if (next <= this.first) return this.chunk;
    return this.chunk.slice(this.offsetOf(next), this.chunk.bytes.byteLength);
  }

  /** The messages from number `from` to before number `to`. */
  chunkOf(from: number, to: number): SharedChunk {
    if (to === this.end) return this.chunkFrom(from);
    return this.chunk.slice(this.offsetOf(from), this.offsetOf(to));
  }
}

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
  return new Batch((batches[0] as Batch).first, ends, runs, new SharedChunk(bytes, budget));
}

/**
 * The most bytes of collected messages that are copied for a leaver. A larger remainder seals the batch
 * instead. So frequent leavers can't shrink everyone's batches.
 */
export const MAX_COPIED_REST_BYTES = 4 * 1024;

const NOTHING = new Uint8Array(0);

/** A buffer larger than this many times its content is copied to one that fits before it is kept. */
const MAX_SLACK = 1.25;

/** Collects a topic's messages until its next pass begins. */
export class Collection implements Stretch {
  readonly #budget: MemoryBudget;
  #buffer: Uint8Array | undefined;
  #length = 0;
  #ends: number[] = [];
  #accepted: Acceptance | undefined;
  #runs: Run[] = [];
  #lastOrigin: Origin | undefined;
  #first: number;

  /** @param first The number of the first message to arrive. */
  constructor(budget: MemoryBudget, first: number) {
    this.#budget = budget;
    this.#first = first;
  }

  get first(): number {
    return this.#first;
  }

  /** The number of the next message to arrive. */
  get end(): number {
    return this.#first + this.#ends.length;
  }

  get runs(): readonly Run[] {
    return this.#runs;
  }

  get bytes(): Uint8Array {
    return this.#buffer ?? NOTHING;
  }

  offsetOf(number: number): number {
    return this.#ends[number - this.#first - 1] ?? 0;
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
    const needed = this.#length + splicedLength(message.byteLength);
    if (this.#buffer === undefined || this.#buffer.byteLength < needed) this.#grow(needed);
    this.#length = spliceMessage(this.#buffer as Uint8Array, this.#length, micros, message);
    if (origin !== this.#lastOrigin) {
      this.#lastOrigin = origin;
      this.#runs.push({ origin, first: this.end });
    }
    this.#ends.push(this.#length);
  }

  /** Takes the collected messages as a batch, if there are any. Its chunk is retained once for the caller. */
  seal(): Batch | undefined {
    const buffer = this.#buffer;
    if (buffer === undefined) return undefined;
    const bytes = buffer.byteLength > this.#length * MAX_SLACK
      ? buffer.slice(0, this.#length)
      : buffer.subarray(0, this.#length);
    const chunk = new SharedChunk(bytes, this.#budget);
    const batch = new Batch(this.#first, this.#ends, this.#runs, chunk, this.#accepted);
    batch.chunk.retain();
    this.#budget.release(buffer.byteLength);
    this.#first = batch.end;
    this.#ends = [];
    this.#accepted = undefined;
    this.#runs = [];
    this.#lastOrigin = undefined;
    this.#buffer = undefined;
    this.#length = 0;
    return batch;
  }

  #grow(needed: number): void {
    const old = this.#buffer;
    // A lone message, the usual case, gets a buffer of its own size; a second one makes room for many.
    const buffer = new Uint8Array(old === undefined ? needed : Math.max(needed, 1024) * 2);
    if (old !== undefined) {
      buffer.set(old.subarray(0, this.#length));
      this.#budget.release(old.byteLength);
    }
    this.#budget.hold(buffer.byteLength);
    this.#buffer = buffer;
  }
}
