/**
 * The connection contract over two pipes in memory.
 *
 * @module
 */

import type {
  Address,
  Connection,
  ConnectionHandler,
  TransportEnd,
} from "../../../runtime/types.ts";
import type { End, Loop, Pipe } from "./memory_pipe.ts";

/** The most bytes of one `onData`. */
const readBytes = 64 * 1024;

/** The parts of the runtime that a connection uses. */
export interface Network extends Loop {
  /** Writes are answered `false` and drained in the next turn, even when there was room. */
  readonly answersLate: boolean;
  /** A write was made, of this many bytes. */
  wrote(connection: MemoryConnection, bytes: number): void;
}

/** A process that may stand still. */
export interface Owner {
  readonly hangs: boolean;
  /** Keeps what an end would do until the process goes on. */
  defer(end: End): void;
}

/** One side of a connection, as the code under test has it. */
export class MemoryConnection implements Connection, End {
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** The number of connections that were made before it. */
  readonly number: number;
  /** Calls of `write` that had something to send and could. */
  writeCount = 0;
  /** Whose it is, where the runtime has several processes. */
  process: Owner | undefined;
  readonly #network: Network;
  readonly #inbox: Pipe;
  readonly #outbox: Pipe;
  #handler!: ConnectionHandler;
  #state: "open" | "closing" | "gone" = "open";
  /** The unsent rest of the chunk in flight; empty if only the answer is late. */
  #rest: Uint8Array | null = null;
  #isPaused = false;
  /** The bytes that the peer had sent when it aborted the connection while reading was paused. */
  #held: Uint8Array | null = null;
  #peerEnded = false;
  /** The connection's end, until the handler is told. */
  #end: { why: TransportEnd; cause?: Error } | null = null;

  constructor(
    network: Network,
    number: number,
    remote: Address,
    inbox: Pipe,
    outbox: Pipe,
  ) {
    this.#network = network;
    this.number = number;
    this.remoteAddress = remote.transport === "tcp" ? remote.hostname : "";
    this.remotePort = remote.transport === "tcp" ? remote.port : 0;
    this.#inbox = inbox;
    this.#outbox = outbox;
    inbox.reader = this;
    outbox.writer = this;
  }

  start(handler: ConnectionHandler): void {
    this.#handler = handler;
    this.#network.mark(this);
  }

  /** Aborts a connection that got no handler. */
  abandon(): void {
    this.#state = "gone";
    this.#inbox.break();
    this.#outbox.break();
  }

  get unsentBytes(): number {
    return this.#rest === null ? 0 : this.#rest.length;
  }

  get heldBytes(): number {
    return this.#held?.length ?? 0;
  }

  get hasUndelivered(): boolean {
    return this.#held !== null;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#state !== "open" || this.#outbox.broken) return false;
    if (this.#rest !== null) throw new Error("write() while another chunk is in flight");
    if (chunk.length === 0) return true;
    this.writeCount++;
    this.#network.wrote(this, chunk.length);
    const count = this.#outbox.put(chunk);
    if (count === chunk.length && !this.#network.answersLate) return true;
    this.#rest = chunk.subarray(count);
    if (this.#rest.length === 0) this.#network.mark(this);
    return false;
  }

  pauseReading(): void {
    if (this.#state === "open") this.#isPaused = true;
  }

  resumeReading(): void {
    this.#isPaused = false;
    this.#network.mark(this);
  }

  close(): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#isPaused = false;
    this.#held = null;
    if (this.#rest === null) this.#outbox.end();
    this.#network.mark(this);
  }

  takeArrived(into: Uint8Array): number {
    if (this.#state === "gone") return 0;
    const count = Math.min(this.#inbox.size, into.length);
    this.#inbox.take(into.subarray(0, count));
    return count;
  }

  release(): void {
    if (this.#state === "gone") return;
    this.#outbox.end();
    this.#finish("destroyed");
  }

  destroy(): void {
    if (this.#state === "gone") return;
    this.#inbox.break();
    this.#outbox.break();
    this.#finish("destroyed");
  }

  poll(): void {
    if (this.process?.hangs) return this.process.defer(this);
    this.#send();
    this.#receive();
    if (this.#end === null || this.#handler === undefined) return;
    const { why, cause } = this.#end;
    this.#end = null;
    this.#handler.onClose(why, cause);
  }

  #send(): void {
    if (this.#rest === null || this.#outbox.broken) return;
    this.#rest = this.#rest.subarray(this.#outbox.put(this.#rest));
    if (this.#rest.length > 0) return;
    this.#rest = null;
    if (this.#state === "closing") this.#outbox.end();
    this.#handler.onDrain();
  }

  #receive(): void {
    if (this.#state === "closing") this.#inbox.clear();
    this.#holdRest();
    if (this.#state === "open" && !this.#isPaused && this.#held !== null) this.#releaseHeld();
    if (this.#held !== null) return;
    if (this.#state === "open" && !this.#isPaused && this.#inbox.size > 0) {
      const chunk = new Uint8Array(Math.min(this.#inbox.size, readBytes));
      this.#inbox.take(chunk);
      this.#network.mark(this);
      try {
        this.#handler.onData(chunk);
      } finally {
        // A handler that keeps the chunk instead of copying it must notice.
        chunk.fill(0xee);
      }
    }
    if (this.#state === "gone" || this.#inbox.size > 0) return;
    if (this.#inbox.broken) {
      return this.#finish("reset", new Error("the peer aborted the connection"));
    }
    if (this.#inbox.ended && !this.#peerEnded && !this.#isPaused) {
      this.#peerEnded = true;
      if (this.#state === "open") this.#handler.onEnd();
    }
    if (this.#peerEnded && this.#outbox.ended) this.#finish("finished");
  }

  /** An abort isn't deferred by a pause: as with Bun, what came before it is read, and kept. */
  #holdRest(): void {
    if (this.#state !== "open" || !this.#isPaused || !this.#inbox.broken) return;
    if (this.#inbox.size === 0) return;
    this.#held = new Uint8Array(this.#inbox.size);
    this.#inbox.take(this.#held);
    this.#handler.onHeld?.();
  }

  #releaseHeld(): void {
    const chunk = this.#held!;
    this.#held = null;
    this.#network.mark(this);
    this.#handler.onHeld?.();
    this.#handler.onData(chunk);
    chunk.fill(0xee);
  }

  #finish(why: TransportEnd, cause?: Error): void {
    this.#state = "gone";
    this.#rest = this.#held = null;
    this.#inbox.clear();
    this.#end = { why, ...(cause === undefined ? {} : { cause }) };
    this.#network.mark(this);
  }
}
