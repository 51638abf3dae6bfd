/**
 * One `Deno.Conn` behind the connection contract.
 *
 * @module
 */

import type { DenoReads, StreamReader } from "./reads.ts";
import { transportErrorCode } from "../transport_error.ts";
import type { Connection, ConnectionHandler, TransportEnd } from "../types.ts";

/**
 * `closing` from `close()` on; `leaving` from `destroy()` on, while an operation still holds the
 * descriptor; `gone` once it's free.
 */
type State = "open" | "closing" | "leaving" | "gone";

/**
 * Turns Deno's reads and promises into callbacks.
 *
 * A write's system call happens inside `conn.write`, its promise resolves in microtasks, or never
 * while the peer is stalled. What a promise calls is one closure that lives as long as the promise:
 * two for each of reading and writing, kept with the connection, cost an idle one 200 bytes more.
 */
export class DenoConnection implements Connection, StreamReader {
  readonly remoteAddress: string;
  readonly #conn: Deno.Conn;
  readonly #reads: DenoReads;
  #handler!: ConnectionHandler;
  #state: State = "open";

  /** The unsent bytes of the chunk in flight. */
  #unsentBytes = 0;
  #writeError: Error | null = null;
  #finSent = false;

  #buffer: Uint8Array | null;
  /** A read or a callback uses the buffer, so nothing else may. */
  #bufferBusy = false;
  /** The number of reads in a row that filled their buffer. */
  #filledReads = 0;
  /** Bytes in the buffer that wait to be delivered in the connection's turn. The buffer is busy meanwhile. */
  #lateBytes = 0;
  /** Bytes in the buffer that arrived while reading was paused. */
  #held = 0;
  #paused = false;
  #peerEnded = false;
  /** The peer's end arrived while reading was paused. */
  #endHeld = false;

  constructor(conn: Deno.Conn, remoteAddress: string, reads: DenoReads) {
    this.#conn = conn;
    this.remoteAddress = remoteAddress;
    this.#reads = reads;
    this.#buffer = reads.buffers.small();
  }

  get site(): string {
    return this.#handler.site?.() ?? this.remoteAddress;
  }

  get isLight(): boolean {
    return this.#handler.isLight?.() ?? false;
  }

  get isLate(): boolean {
    return this.#lateBytes > 0;
  }

  /** Begins to read, and to call the handler. */
  start(handler: ConnectionHandler): void {
    this.#handler = handler;
    this.#read();
  }

  /** Frees the descriptor of a connection that got no handler. */
  abandon(): void {
    if (!this.#isOver) this.#free();
  }

  /**
   * Read from the object that Deno keeps anyway: a field for the port would cost an idle connection
   * memory.
   */
  get remotePort(): number {
    const { remoteAddr } = this.#conn;
    return remoteAddr.transport === "tcp" ? remoteAddr.port : 0;
  }

  get unsentBytes(): number {
    return this.#unsentBytes;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#state !== "open" || this.#writeError !== null) return false;
    if (this.#unsentBytes > 0) throw new Error("write() while another chunk is in flight");
    if (chunk.length === 0) return true;
    this.#send(chunk);
    return false;
  }

  #send(chunk: Uint8Array): void {
    this.#unsentBytes = chunk.length;
    const onSettled = (outcome: number | Error): void => this.#onWritten(outcome, chunk);
    this.#conn.write(chunk).then(onSettled, onSettled);
  }

  #onWritten(outcome: number | Error, chunk: Uint8Array): void {
    if (typeof outcome !== "number") return this.#onWriteError(outcome);
    if (this.#isOver) return;
    if (outcome < chunk.length) return this.#send(chunk.subarray(outcome));
    this.#unsentBytes = 0;
    if (this.#state === "closing") this.#sendFin();
    this.#handler.onDrain();
  }

  #onWriteError(error: Error): void {
    if (this.#isOver) return;
    this.#unsentBytes = 0;
    this.#writeError = error;
    // If the connection is gone, the kernel may still hold what the peer sent before: the pending read
    // gets it, and then the end.
    if (this.#peerEnded || !isPeerGone(error)) this.#finish("reset", error);
  }

  pauseReading(): void {
    if (this.#state === "open") this.#paused = true;
  }

  resumeReading(): void {
    if (!this.#paused || this.#state !== "open") return;
    this.#paused = false;
    // Its turn delivers what is late.
    if (this.#lateBytes > 0) return;
    if (this.#held > 0 || this.#endHeld) queueMicrotask(() => this.#release());
    else if (this.#filledReads > 0) this.readOn();
    else this.#read();
  }

  close(): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#paused = false;
    this.#held = 0;
    if (this.#unsentBytes === 0) this.#sendFin();
    this.#read();
  }

  takeArrived(): number {
    return 0;
  }

  release(): void {
    this.destroy();
  }

  destroy(): void {
    if (this.#isOver) return;
    this.#free();
    // A read under way keeps the descriptor until it is cancelled, which takes a turn.
    if (this.#bufferBusy) this.#state = "leaving";
    else queueMicrotask(() => this.#handler.onClose("destroyed"));
  }

  get #isOver(): boolean {
    return this.#state === "gone" || this.#state === "leaving";
  }

  #read(): void {
    if (this.#state === "gone" || this.#bufferBusy || this.#buffer === null || this.#paused) return;
    this.#bufferBusy = true;
    const onSettled = (outcome: number | null | Error): void => this.#onRead(outcome);
    this.#conn.read(this.#buffer).then(onSettled, onSettled);
  }

  /**
   * Reads on after a read of `count` bytes: in the connection's turn if more bytes are likely to be
   * there.
   */
  #readBehind(count: number): void {
    const buffer = this.#buffer!;
    if (count < buffer.length) {
      this.#filledReads = 0;
      this.#buffer = this.#reads.buffers.smaller(buffer);
      this.#read();
    } else if (this.#reads.mayReadOn(this, ++this.#filledReads)) this.readOn();
  }

  readOn(): void {
    if (this.#lateBytes > 0) {
      const count = this.#lateBytes;
      this.#lateBytes = 0;
      return this.#take(count);
    }
    if (this.#state === "gone" || this.#bufferBusy || this.#buffer === null || this.#paused) return;
    this.#buffer = this.#reads.buffers.larger(this.#buffer);
    this.#read();
  }

  #onRead(outcome: number | null | Error): void {
    if (this.#state === "leaving") return this.#leave();
    if (outcome === null) return this.#onPeerEnd();
    if (typeof outcome !== "number") return this.#onReadError(outcome);
    if (this.#reads.mayDeliver(this)) this.#take(outcome);
    else this.#lateBytes = outcome;
  }

  #take(count: number): void {
    if (this.#state === "open" && this.#paused) {
      this.#bufferBusy = false;
      this.#held = count;
    } else this.#deliver(count);
  }

  #deliver(count: number): void {
    this.#bufferBusy = true;
    this.#held = 0;
    const buffer = this.#buffer!;
    try {
      if (this.#state === "open") {
        this.#handler.onData(count === buffer.length ? buffer : buffer.subarray(0, count));
      }
    } finally {
      this.#bufferBusy = false;
      if (this.#state === "leaving") this.#leave();
      else if (this.#state === "gone") this.#giveBuffer();
      else {
        this.#readBehind(count);
      }
    }
  }

  /** Delivers what was held while reading was paused, unless it was paused again. */
  #release(): void {
    if (this.#state !== "open" || this.#paused) return;
    if (this.#held > 0) this.#deliver(this.#held);
    else if (this.#endHeld) {
      this.#endHeld = false;
      this.#handler.onEnd();
    }
  }

  #onPeerEnd(): void {
    this.#bufferBusy = false;
    this.#giveBuffer();
    if (this.#state === "gone") return;
    // A reset reads as an end when a write has taken the error.
    if (this.#writeError !== null) return this.#finish("reset", this.#writeError);
    this.#peerEnded = true;
    if (this.#state === "closing") {
      if (this.#finSent) this.#finish("finished");
    } else if (this.#paused) this.#endHeld = true;
    else this.#handler.onEnd();
  }

  #onReadError(error: Error): void {
    this.#bufferBusy = false;
    if (this.#state === "gone") this.#giveBuffer();
    else this.#finish("reset", error);
  }

  async #sendFin(): Promise<void> {
    try {
      await this.#conn.closeWrite();
      this.#finSent = true;
    } catch (error) {
      return this.#onWriteError(error as Error);
    }
    if (this.#peerEnded && !this.#isOver) this.#finish("finished");
  }

  #finish(why: TransportEnd, cause?: Error): void {
    this.#free();
    this.#handler.onClose(why, cause);
  }

  #free(): void {
    this.#state = "gone";
    this.#unsentBytes = 0;
    this.#conn.close();
    if (!this.#bufferBusy) this.#giveBuffer();
  }

  /** The descriptor is free after `destroy()`. */
  #leave(): void {
    this.#state = "gone";
    this.#bufferBusy = false;
    this.#giveBuffer();
    this.#handler.onClose("destroyed");
  }

  #giveBuffer(): void {
    if (this.#buffer === null) return;
    if (this.#filledReads > 0) this.#reads.leave(this);
    this.#reads.buffers.giveBack(this.#buffer);
    this.#buffer = null;
  }
}

function isPeerGone(error: Error): boolean {
  const code = transportErrorCode(error);
  return code === "connection_reset" || code === "timed_out";
}
