import type { Connection } from "../../runtime/types.ts";
import { type Limits, STALL_MS } from "../limits.ts";
import type { MemoryBudget } from "./memory_budget.ts";
import { SharedChunk } from "./shared_chunk.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";

/** Small chunks that wait are joined up to this many bytes, so that each costs no write of its own. */
const MAX_JOINED_BYTES = 64 * 1024;

/**
 * The same where half of the server's memory is in use: what is joined is a copy for one connection,
 * and thousands of large ones would use up the rest.
 */
const MAX_JOINED_BYTES_IN_NEED = 4 * 1024;

/**
 * Pieces of no more than so many bytes are gathered for one write, up to so many in all: larger ones cost
 * more to copy than their write does.
 */
const MAX_PIECE_BYTES = 4 * 1024;
const MAX_GATHERED_BYTES = 32 * 1024;

/** Taken chunks stay in front of the queue's array until they are this many and the larger part. */
const MIN_COMPACTION = 64;

/** What an outbox needs to know of the server; one object for all of them. */
export interface OutboxContext {
  readonly limits: Limits;
  readonly budget: MemoryBudget;
  readonly clock: CoarseClock;
  /** Whether connections may copy what's in flight (TLS does), which is looked at only then. */
  readonly copies: boolean;
}

/** How well the peer takes what waits for it. */
export type OutboxHealth = "fine" | "stalled" | "past_write_deadline" | "past_soft_limit";

/**
 * What waits for one connection, in order. It writes straight through while nothing waits, keeps one
 * chunk in flight, and knows how well the peer takes them.
 *
 * It enforces no limit: whoever fills it looks at {@linkcode pendingBytes}.
 */
export class Outbox {
  readonly #connection: Connection;
  readonly #context: OutboxContext;
  #inFlight: SharedChunk | undefined;
  #queue: SharedChunk[] | undefined;
  #head = 0;
  #queuedBytes = 0;
  /** Bytes that ever waited here; less what waits now, it's what the peer took of them. */
  #enqueuedBytes = 0;
  #seenTakenBytes = 0;
  #progressMs = 0;
  #overSoftSinceMs = 0;
  /** Since when publishers have reason to wait; 0 once the peer has caught up. */
  #holdsSinceMs = 0;
  #hasDrained = false;

  constructor(connection: Connection, context: OutboxContext) {
    this.#connection = connection;
    this.#context = context;
  }

  /** Bytes accepted by {@linkcode send} that the kernel hasn't taken. */
  get pendingBytes(): number {
    return this.#queuedBytes + this.#connection.unsentBytes;
  }

  /** Whether so little waits that no limit is near, and publishers needn't wait. */
  get holdsLittle(): boolean {
    return this.pendingBytes < this.#softBytes;
  }

  /** True while nothing waits and nothing is in flight. */
  get isEmpty(): boolean {
    return this.#inFlight === undefined && this.#queue === undefined;
  }

  /** Whether the kernel hasn't taken all yet that was sent, but for what was gathered since. */
  get isInFlight(): boolean {
    return this.#inFlight !== undefined;
  }

  /** When the peer last took a byte of what waits, on the server's coarse clock. */
  get progressMs(): number {
    this.#noteProgress(this.#context.clock.nowMs);
    return this.#progressMs;
  }

  /** Sends the chunk after everything that waits. True: nothing waits now. */
  send(chunk: SharedChunk): boolean {
    if (this.isEmpty) {
      if (this.#connection.write(chunk.bytes)) return true;
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
   * Keeps a small chunk for the next {@linkcode flush}, or what is sent before, unless something is in
   * flight or enough is kept.
   *
   * @returns Whether it's kept.
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

  /** Sends what was gathered. True: nothing waits now. */
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

  /** Writes what waits, as far as the kernel takes it. True: nothing waits now. */
  #writeQueue(): boolean {
    while (this.#queue !== undefined) {
      const chunk = this.#takeNext(this.#queue);
      if (!this.#connection.write(chunk.bytes)) {
        this.#progressMs = this.#context.clock.nowMs;
        this.#putInFlight(chunk);
        return false;
      }
      chunk.release();
    }
    return true;
  }

  /** What a connection that copies copies of a chunk that's in flight. */
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

  /** The connection has sent the chunk in flight: sends what waits. True: nothing waits now. */
  drained(): boolean {
    this.#endFlight();
    this.#progressMs = this.#context.clock.nowMs;
    if (!this.#writeQueue()) {
      this.#hasDrained = true;
      if (this.#overSoftSinceMs !== 0 && this.pendingBytes <= this.#softBytes) {
        this.#overSoftSinceMs = 0;
      }
      if (this.hasCaughtUp) this.#holdsSinceMs = 0;
      return false;
    }
    this.#hasDrained = false;
    this.#overSoftSinceMs = 0;
    this.#holdsSinceMs = 0;
    return true;
  }

  /** Drops what waits; the chunk in flight stays, since it may be half sent. */
  dropQueue(): void {
    if (this.#queue !== undefined) {
      for (let i = this.#head; i < this.#queue.length; i++) this.#queue[i]?.release();
    }
    this.#queue = undefined;
    this.#head = 0;
    // What is dropped isn't taken: it must not look like progress.
    this.#enqueuedBytes -= this.#queuedBytes;
    this.#queuedBytes = 0;
  }

  /** The connection is gone: drops everything. */
  discard(): void {
    this.dropQueue();
    this.#endFlight();
  }

  /** Judges the peer, at a time of the server's coarse clock. To be called about once a sweep. */
  health(nowMs: number): OutboxHealth {
    if (this.#inFlight === undefined) return "fine";
    this.#noteProgress(nowMs);
    const pendingBytes = this.pendingBytes;
    const { limits } = this.#context;
    if (nowMs - this.#progressMs >= limits.writeDeadlineMs) return "past_write_deadline";
    if (pendingBytes <= this.#softBytes) {
      this.#overSoftSinceMs = 0;
    } else if (this.#overSoftSinceMs === 0) {
      this.#overSoftSinceMs = nowMs;
    } else if (nowMs - this.#overSoftSinceMs >= limits.softPendingMs) {
      return "past_soft_limit";
    }
    return nowMs - this.#progressMs >= STALL_MS ? "stalled" : "fine";
  }

  /** Whether the peer has taken something of what waits since something last began to. */
  get hasTakenSome(): boolean {
    return this.#hasDrained;
  }

  /**
   * Whether publishers should wait for this reader: it's well behind, and took bytes within the last
   * second, if only into the kernel's buffers. One that hasn't caught up for a while holds nobody up.
   */
  holdsPublishers(): boolean {
    const { nowMs } = this.#context.clock;
    if (this.pendingBytes < this.#softBytes) return false;
    if (nowMs - this.#progressMs >= STALL_MS) return false;
    if (this.#holdsSinceMs === 0) this.#holdsSinceMs = nowMs;
    return !this.hasHeldTooLong;
  }

  /**
   * True when publishers have waited for this reader, without its catching up, for as long as more
   * than the soft limit may wait: a trickle that keeps below that limit must not stop a topic.
   */
  get hasHeldTooLong(): boolean {
    const { clock, limits } = this.#context;
    return this.#holdsSinceMs !== 0 && clock.nowMs - this.#holdsSinceMs >= limits.softPendingMs;
  }

  /** True when publishers that waited for this reader need not wait longer. */
  get hasCaughtUp(): boolean {
    return this.pendingBytes <= this.#softBytes / 8;
  }

  #noteProgress(nowMs: number): void {
    const takenBytes = this.#enqueuedBytes - this.pendingBytes;
    if (takenBytes === this.#seenTakenBytes) return;
    this.#seenTakenBytes = takenBytes;
    this.#progressMs = nowMs;
  }

  get #softBytes(): number {
    const { softPendingBytes, maxPendingBytes } = this.#context.limits;
    return Math.min(softPendingBytes, maxPendingBytes / 2);
  }

  /** The next chunk to write, joined with its followers where they're small; retained for us. */
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
