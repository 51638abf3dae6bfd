/**
 * The far end of a connection in memory, in the hands of a test.
 *
 * @module
 */

import type { MemoryConnection } from "./memory_connection.ts";
import type { End, Loop, Pipe } from "./memory_pipe.ts";
import { join } from "../bytes.ts";
import type { RawPeer } from "../clients/raw_peer.ts";

/** The options of one peer. */
export interface DialOptions {
  /** The bytes that fit between the server's writes and the peer's reads; the runtime's by default. */
  readonly bufferBytes?: number;
  /** Its IP address; the listener's own unless given. */
  readonly from?: string;
  /** Counts what arrives and forgets it, so that a benchmark measures the server. */
  readonly forgets?: boolean;
}

/**
 * A peer that does what it is told. It reads all that has arrived, once a turn, unless it is
 * stalled; so a write of more than its buffer's room is taken in part.
 */
export class MemoryPeer implements RawPeer, End {
  /** The server's side: how often it was written to, what it still holds. */
  readonly connection: MemoryConnection;
  readonly #loop: Loop;
  readonly #inbox: Pipe;
  readonly #outbox: Pipe;
  readonly #forgets: boolean;
  readonly #chunks: Uint8Array[] = [];
  /** The sent bytes that have found no room yet. */
  #unsent: Uint8Array[] = [];
  #flows = true;
  #sendsEnd = false;
  /** The number of received bytes. */
  byteCount = 0;
  ended = false;
  failed = false;

  constructor(
    loop: Loop,
    connection: MemoryConnection,
    inbox: Pipe,
    outbox: Pipe,
    { forgets = false }: DialOptions,
  ) {
    this.#loop = loop;
    this.connection = connection;
    this.#inbox = inbox;
    this.#outbox = outbox;
    this.#forgets = forgets;
    inbox.reader = this;
    outbox.writer = this;
  }

  /** The number of writes that the server made to this peer. */
  get writeCount(): number {
    return this.connection.writeCount;
  }

  /** Its place among all connections of the runtime, as the log of writes has it. */
  get number(): number {
    return this.connection.number;
  }

  /** Everything that arrived, unless the peer forgets. */
  get received(): Uint8Array {
    return join(this.#chunks);
  }

  /** {@linkcode received} as text. */
  get text(): string {
    return new TextDecoder().decode(this.received);
  }

  /** The bytes that fit between the server's writes and this peer's reads; may be changed at any time. */
  get bufferBytes(): number {
    return this.#inbox.capacity;
  }

  set bufferBytes(bytes: number) {
    this.#inbox.capacity = bytes;
  }

  /** The bytes that the server has written and the peer has not read. */
  get waitingBytes(): number {
    return this.#inbox.size;
  }

  /** The bytes that this peer has sent and the server hasn't read. */
  get unreadBytes(): number {
    return this.#outbox.size + this.#unsent.reduce((sum, { length }) => sum + length, 0);
  }

  send(bytes: Uint8Array | string): void {
    this.#unsent.push(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes.slice());
    this.#flush();
  }

  end(): void {
    this.#sendsEnd = true;
    this.#flush();
  }

  reset(): void {
    this.#unsent = [];
    this.#inbox.clear();
    this.#inbox.break();
    this.#outbox.break();
  }

  stall(): void {
    this.#flows = false;
  }

  flow(): void {
    this.#flows = true;
    this.#loop.mark(this);
  }

  /** Reads up to this many bytes at once, although it is stalled, and says how many there were. */
  take(bytes: number): number {
    const chunk = new Uint8Array(Math.min(bytes, this.#inbox.size));
    this.#inbox.take(chunk);
    if (!this.#forgets && chunk.length > 0) this.#chunks.push(chunk);
    this.byteCount += chunk.length;
    return chunk.length;
  }

  poll(): void {
    this.#flush();
    if (!this.#flows) return;
    if (this.#forgets) this.byteCount += this.#inbox.clear();
    else this.take(this.#inbox.size);
    if (this.#inbox.broken) this.failed = true;
    else if (this.#inbox.ended) this.ended = true;
  }

  #flush(): void {
    while (this.#unsent.length > 0) {
      const next = this.#unsent[0]!;
      const count = this.#outbox.put(next);
      if (count < next.length) {
        this.#unsent[0] = next.subarray(count);
        return;
      }
      this.#unsent.shift();
    }
    if (this.#sendsEnd && !this.#outbox.ended) this.#outbox.end();
  }
}
