import { splicedLength, spliceMessage } from "../../protocol/encoder.ts";
import type { MemoryBudget } from "../flow/memory_budget.ts";
import { SharedChunk } from "../flow/shared_chunk.ts";

/** Messages of one topic, encoded once, on their way to all of its subscribers in one write each. */
export class Batch {
  /** The number of the first message, counted from the topic's first. */
  readonly first: number;
  /** The number behind the last message. */
  readonly end: number;
  /** All of its messages. */
  readonly chunk: SharedChunk;
  /** For each message the offset behind it. */
  readonly #ends: readonly number[];

  constructor(first: number, ends: readonly number[], chunk: SharedChunk) {
    this.first = first;
    this.end = first + ends.length;
    this.#ends = ends;
    this.chunk = chunk;
  }

  /** Its messages from number `next` on; `next` is below {@linkcode end}. */
  chunkFrom(next: number): SharedChunk {
    if (next <= this.first) return this.chunk;
    return this.chunk.slice(this.#ends[next - this.first - 1] ?? 0, this.chunk.bytes.byteLength);
  }
}

/**
 * Bytes of collected messages that are copied for a client that leaves in the meantime; where it's
 * more, the batch is closed for everybody. So whoever comes and goes can't make a batch of less.
 */
export const MAX_COPIED_REST_BYTES = 4 * 1024;

/** A buffer more than this much larger than what it holds is copied before it's kept. */
const MAX_SLACK = 1.25;

/** Collects the messages that come in while the topic's fan-out has other things to do. */
export class Collection {
  readonly #budget: MemoryBudget;
  #buffer: Uint8Array | undefined;
  #length = 0;
  #ends: number[] = [];
  #first = 0;

  constructor(budget: MemoryBudget) {
    this.#budget = budget;
  }

  /** Bytes collected. */
  get byteLength(): number {
    return this.#length;
  }

  /** The number of the message that comes next. */
  get next(): number {
    return this.#first + this.#ends.length;
  }

  /** How many bytes the messages from number `next` on are. */
  bytesFrom(next: number): number {
    return this.#length - this.#startOf(next);
  }

  /** A copy of the messages from number `next` on, which stay here. */
  copyFrom(next: number): Uint8Array {
    return this.#buffer?.slice(this.#startOf(next), this.#length) ?? new Uint8Array(0);
  }

  /** Encodes a message behind the others. `message` is copied. */
  append(micros: number, message: Uint8Array): void {
    const needed = this.#length + splicedLength(message.byteLength);
    if (this.#buffer === undefined || this.#buffer.byteLength < needed) this.#grow(needed);
    this.#length = spliceMessage(this.#buffer as Uint8Array, this.#length, micros, message);
    this.#ends.push(this.#length);
  }

  /** Takes what was collected, if anything; retained once for the caller. */
  seal(): Batch | undefined {
    const buffer = this.#buffer;
    if (buffer === undefined) return undefined;
    const bytes = buffer.byteLength > this.#length * MAX_SLACK
      ? buffer.slice(0, this.#length)
      : buffer.subarray(0, this.#length);
    const batch = new Batch(this.#first, this.#ends, new SharedChunk(bytes, this.#budget));
    batch.chunk.retain();
    this.#budget.release(buffer.byteLength);
    this.#first = batch.end;
    this.#ends = [];
    this.#buffer = undefined;
    this.#length = 0;
    return batch;
  }

  #startOf(number: number): number {
    return this.#ends[number - this.#first - 1] ?? 0;
  }

  #grow(needed: number): void {
    const old = this.#buffer;
    // A lone message, the usual case, gets a buffer of its own size; more than one, room for many.
    const buffer = new Uint8Array(old === undefined ? needed : Math.max(needed, 1024) * 2);
    if (old !== undefined) {
      buffer.set(old.subarray(0, this.#length));
      this.#budget.release(old.byteLength);
    }
    this.#budget.hold(buffer.byteLength);
    this.#buffer = buffer;
  }
}
