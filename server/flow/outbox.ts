import type { Connection } from "../../runtime/types.ts";
import type { Counters } from "../counters.ts";
import { type Limits } from "../limits.ts";
import { CAUGHT_UP_SHARE, STALL_MS } from "../limits/clients.ts";
import { softPendingBytesOf } from "../limits/derived.ts";
import type { MemoryBudget } from "./memory_budget.ts";
import { SharedChunk } from "./shared_chunk.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";

/** Small waiting chunks are joined up to this many bytes, so that they share a write. */
const MAX_JOINED_BYTES = 64 * 1024;

/**
 * The same when half of the server's memory is in use: a joined chunk is a copy for one connection, and
 * thousands of large copies would use up the rest.
 */
const MAX_JOINED_BYTES_IN_NEED = 4 * 1024;

/**
 * The largest pieces that are gathered for one write, and the most bytes of all of them: copying larger
 * ones costs more than a write.
 */
const MAX_PIECE_BYTES = 4 * 1024;
const MAX_GATHERED_BYTES = 32 * 1024;

/** Taken chunks are removed from the queue's array when they are this many and the larger part of it. */
const MIN_COMPACTION = 64;

/** The parts of the server that outboxes use; all outboxes share one object. */
export interface OutboxContext {
  readonly limits: Limits;
  readonly budget: MemoryBudget;
  readonly clock: CoarseClock;
  /** True if connections may copy the chunk in flight, as TLS does; the copies are counted only then. */
  readonly copies: boolean;
  /** Counts the bytes that are handed to connections. */
  readonly counters: Pick<Counters, "bytesOut">;
}

/** The peer's progress with the bytes that wait for it. */
export type OutboxHealth = "fine" | "stalled" | "past_write_deadline" | "past_soft_limit";

/**
 * The chunks that wait for one connection, in order. It writes at once while nothing waits, keeps one
 * chunk in flight, and judges the peer's progress.
 *
 * It enforces no limit: its owner checks {@linkcode pendingBytes}.
 */
export class Outbox {
  readonly #connection: Connection;
  readonly #context: OutboxContext;
  #inFlight: SharedChunk | undefined;
  #queue: SharedChunk[] | undefined;
  #head = 0;
  #queuedBytes = 0;
  /** The bytes that ever waited here. Minus the bytes that wait now, the peer has taken them. */
  #enqueuedBytes = 0;
  #seenTakenBytes = 0;
  #progressMs = 0;
  /** The time since when the peer has been behind, or last had taken enough; 0 while it isn't behind. */
  #behindSinceMs = 0;
  /** The bytes that the peer had taken then. */
  #takenBefore = 0;

  constructor(connection: Connection, context: OutboxContext) {
    this.#connection = connection;
    this.#context = context;
  }

  /** Bytes accepted by {@linkcode send} that the kernel hasn't taken. */
  get pendingBytes(): number {
    return this.#queuedBytes + this.#connection.unsentBytes;
  }

  /** True if so much waits that what follows should wait elsewhere. */
  get isFull(): boolean {
    return this.pendingBytes >= this.#softBytes / 2;
  }

  /** True if so little waits that what waited elsewhere may come. */
  get hasCaughtUp(): boolean {
    return this.pendingBytes <= this.#softBytes * CAUGHT_UP_SHARE;
  }

  /** True while nothing waits and nothing is in flight. */
  get isEmpty(): boolean {
    return this.#inFlight === undefined && this.#queue === undefined;
  }

  /** True if {@linkcode health} has something to judge. */
  get isJudged(): boolean {
    return this.isInFlight || this.#behindSinceMs !== 0;
  }

  /** True if the kernel hasn't taken all bytes that were sent; gathered ones don't count. */
  get isInFlight(): boolean {
    return this.#inFlight !== undefined;
  }

  /** The time when the peer last took a waiting byte, on the server's coarse clock. */
  get progressMs(): number {
    this.#noteProgress(this.#context.clock.nowMs);
    return this.#progressMs;
  }

  /** Sends the chunk after everything that waits. Returns true if nothing waits now. */
  send(chunk: SharedChunk): boolean {
    if (this.isEmpty) {
      this.#context.counters.bytesOut += chunk.bytes.byteLength;
      if (this.#connection.write(chunk.bytes)) {
        if (this.#behindSinceMs !== 0) this.#enqueuedBytes += chunk.bytes.byteLength;
        return true;
      }
      this.#progressMs = this.#context.clock.nowMs;
      this.#putInFlight(chunk);
      chunk.retain();
      this.#enqueuedBytes += chunk.bytes.byteLength;
      return false;
    }
    this.#enqueue(chunk);
    return this.flush();
  }

  /**
   * Keeps a small chunk for the next {@linkcode flush} or {@linkcode send}, unless a chunk is in flight or
   * enough is kept.
   *
   * @returns True if it is kept.
   */
  gather(chunk: SharedChunk): boolean {
    const { byteLength } = chunk.bytes;
    const most = Math.min(MAX_GATHERED_BYTES, this.#softBytes / 8);
    const isKept = this.#inFlight === undefined && byteLength <= MAX_PIECE_BYTES &&
      this.#queuedBytes + byteLength <= most;
    if (!isKept) return false;
    if (this.#queue === undefined) this.#progressMs = this.#context.clock.nowMs;
    this.#enqueue(chunk);
    return true;
  }

  /** Sends the gathered pieces. Returns true if nothing waits now. */
  flush(): boolean {
    return this.#inFlight === undefined && this.#writeQueue();
  }

  #enqueue(chunk: SharedChunk): void {
    this.#queue ??= [];
    this.#queue.push(chunk);
    this.#queuedBytes += chunk.bytes.byteLength;
    chunk.retain();
    this.#enqueuedBytes += chunk.bytes.byteLength;
  }

  /** Writes as many waiting bytes as the kernel takes. Returns true if nothing waits now. */
  #writeQueue(): boolean {
    while (this.#queue !== undefined) {
      const chunk = this.#takeNext(this.#queue);
      this.#context.counters.bytesOut += chunk.bytes.byteLength;
      if (!this.#connection.write(chunk.bytes)) {
        this.#progressMs = this.#context.clock.nowMs;
        this.#putInFlight(chunk);
        return false;
      }
      chunk.release();
    }
    return true;
  }

  /** The bytes that a connection which copies has copied of the chunk in flight. */
  #copiedBytes(chunk: SharedChunk): number {
    return Math.min(this.#connection.copiedBytes ?? 0, chunk.bytes.byteLength);
  }

  #putInFlight(chunk: SharedChunk): void {
    this.#inFlight = chunk;
    if (this.#context.copies) this.#context.budget.hold(this.#copiedBytes(chunk));
  }

  #endFlight(): void {
    const chunk = this.#inFlight;
    if (chunk === undefined) return;
    this.#inFlight = undefined;
    if (this.#context.copies) this.#context.budget.release(this.#copiedBytes(chunk));
    chunk.release();
  }

  /** Goes on when the chunk in flight is sent. Returns true if nothing waits now. */
  drained(): boolean {
    this.#endFlight();
    this.#progressMs = this.#context.clock.nowMs;
    return this.#writeQueue();
  }

  /** Drops the waiting chunks. The chunk in flight stays, since a part of it may be sent. */
  dropQueue(): void {
    if (this.#queue !== undefined) {
      for (let i = this.#head; i < this.#queue.length; i++) this.#queue[i]?.release();
    }
    this.#queue = undefined;
    this.#head = 0;
    // Dropped bytes must not look like progress.
    this.#enqueuedBytes -= this.#queuedBytes;
    this.#queuedBytes = 0;
  }

  /** Drops everything, because the connection is gone. */
  discard(): void {
    this.dropQueue();
    this.#endFlight();
  }

  /**
   * Judges the peer's progress at a time of the server's coarse clock. Call it about once a sweep.
   *
   * @param behindBytes The bytes that wait for the peer, those that wait elsewhere included.
   */
  health(nowMs: number, behindBytes: number): OutboxHealth {
    const softBytes = this.#softBytes;
    if (behindBytes <= softBytes * CAUGHT_UP_SHARE) this.#behindSinceMs = 0;
    if (this.#inFlight === undefined) return "fine";
    this.#noteProgress(nowMs);
    if (nowMs - this.#progressMs >= this.#context.limits.writeDeadlineMs) {
      return "past_write_deadline";
    }
    const hasTakenEnough = this.#seenTakenBytes - this.#takenBefore >= softBytes;
    if (this.#behindSinceMs === 0 ? behindBytes > softBytes : hasTakenEnough) {
      this.#behindSinceMs = nowMs;
      this.#takenBefore = this.#seenTakenBytes;
    } else if (this.isTooSlow) {
      return behindBytes > softBytes ? "past_soft_limit" : "stalled";
    }
    return nowMs - this.#progressMs >= STALL_MS ? "stalled" : "fine";
  }

  /**
   * True if the peer has been behind for as long as more than the soft limit may wait, and hasn't taken as
   * much as that meanwhile: no publisher waits for it.
   */
  get isTooSlow(): boolean {
    const { clock, limits } = this.#context;
    return this.#behindSinceMs !== 0 && clock.nowMs - this.#behindSinceMs >= limits.softPendingMs;
  }

  #noteProgress(nowMs: number): void {
    const takenBytes = this.#enqueuedBytes - this.pendingBytes;
    if (takenBytes === this.#seenTakenBytes) return;
    this.#seenTakenBytes = takenBytes;
    this.#progressMs = nowMs;
  }

  get #softBytes(): number {
    return softPendingBytesOf(this.#context.limits);
  }

  /** The next chunk to write, joined with the next ones if they are small. It is retained for the caller. */
  #takeNext(queue: SharedChunk[]): SharedChunk {
    const { budget } = this.#context;
    const isInNeed = budget.isHalfFull;
    const maxJoinedBytes = isInNeed ? MAX_JOINED_BYTES_IN_NEED : MAX_JOINED_BYTES;
    let last = this.#head;
    let bytes = 0;
    for (; last < queue.length; last++) {
      const length = queue[last]?.bytes.byteLength ?? 0;
      if (bytes > 0 && bytes + length > maxJoinedBytes) break;
      bytes += length;
    }
    const first = queue[this.#head] as SharedChunk;
    const chunk = last - this.#head === 1 ? first : this.#join(queue, last, bytes);
    this.#head = last;
    this.#queuedBytes -= bytes;
    if (last === queue.length) {
      this.#queue = undefined;
      this.#head = 0;
    } else if (last >= MIN_COMPACTION && last * 2 >= queue.length) {
      queue.splice(0, last);
      this.#head = 0;
    }
    return chunk;
  }

  #join(queue: SharedChunk[], end: number, bytes: number): SharedChunk {
    const joined = new Uint8Array(bytes);
    let offset = 0;
    for (let i = this.#head; i < end; i++) {
      const chunk = queue[i] as SharedChunk;
      joined.set(chunk.bytes, offset);
      offset += chunk.bytes.byteLength;
      chunk.release();
    }
    const chunk = new SharedChunk(joined, this.#context.budget);
    chunk.retain();
    return chunk;
  }
}
