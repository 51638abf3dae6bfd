/**
 * One `Bun.Socket` behind the connection contract.
 *
 * @module
 */

import { readSync } from "node:fs";
import { handshakeError, plainIp } from "../transport_error.ts";
import type { Connection, ConnectionHandler, TransportEnd } from "../types.ts";

/** `closing` from `close()` on, `gone` once the descriptor is free. */
type State = "open" | "closing" | "gone";

/** The peer's end, in its place behind what arrived before it. */
const END = null;

/** The layer between this side and the peer: none, or TLS, whose handshake is under way or done. */
export type BunLayer = "plain" | "handshaking" | "secure";

/** The bytes that Bun's TLS has enciphered and not sent of a stalled chunk: one record. */
const recordBytes = 16 * 1024;

/** A buffer for bytes that are discarded. */
const discarded = new Uint8Array(16 * 1024);

/** The most bytes that `release()` discards, so that a fast peer can't keep it busy. */
const maxDiscardedBytes = 64 * 1024;

/**
 * Bun pushes and writes at once, as the contract wants it; this class keeps the contract's other
 * promises. One field more than these twelve would cost each connection 48 bytes.
 */
export class BunConnection implements Connection {
  readonly remoteAddress: string;
  /** A copy, because Bun forgets the port of a closed socket. */
  readonly remotePort: number;
  readonly #socket: Bun.Socket<BunConnection>;
  #handler!: ConnectionHandler;
  #state: State = "open";

  /** The unsent rest of the chunk in flight. */
  #rest: Uint8Array | null = null;
  /** A write met the peer's reset, which then looks like an end in order. */
  #writeFailed = false;
  #paused = false;
  #layer: BunLayer;
  /** The bytes that arrived while reading was paused, and the connection's end and its cause. */
  #held: (Uint8Array | typeof END)[] | null = null;
  #closeHeld = false;
  #heldCause: Error | undefined;

  constructor(socket: Bun.Socket<BunConnection>, layer: BunLayer = "plain") {
    this.#socket = socket;
    this.#layer = layer;
    this.remoteAddress = plainIp(socket.remoteAddress ?? "");
    this.remotePort = socket.remotePort ?? 0;
  }

  /** Takes the handler, which the socket's events need. */
  start(handler: ConnectionHandler): void {
    this.#handler = handler;
  }

  /** Frees the descriptor of a connection that got no handler. */
  abandon(): void {
    this.#state = "gone";
    this.#socket.terminate();
  }

  get unsentBytes(): number {
    return this.#rest === null ? 0 : this.#rest.length;
  }

  get copiedBytes(): number {
    return this.#layer === "plain" ? 0 : recordBytes;
  }

  /** The bytes that the engine keeps of an incomplete record aren't known. */
  get heldBytes(): number {
    if (this.#held === null) return 0;
    let bytes = 0;
    for (const chunk of this.#held) bytes += chunk?.length ?? 0;
    return bytes;
  }

  get hasUndelivered(): boolean {
    return this.#held !== null;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#state !== "open" || this.#writeFailed) return false;
    if (this.#rest !== null) throw new Error("write() while another chunk is in flight");
    const count = this.#socket.write(chunk);
    if (count === chunk.length) return true;
    // Before the handshake is done, Bun doesn't even take an empty chunk.
    if (chunk.length === 0) return true;
    this.#keep(chunk, count);
    return false;
  }

  #keep(chunk: Uint8Array, count: number): void {
    if (count >= 0) this.#rest = count === 0 ? chunk : chunk.subarray(count);
    else {
      this.#rest = null;
      this.#writeFailed = true;
    }
  }

  pauseReading(): void {
    if (this.#paused || this.#state !== "open") return;
    this.#paused = true;
    // A handshake must be read.
    if (this.#layer !== "handshaking") this.#socket.pause();
  }

  resumeReading(): void {
    if (!this.#paused || this.#state !== "open") return;
    this.#paused = false;
    if (this.#held === null) this.#socket.resume();
    else queueMicrotask(() => this.#release());
  }

  close(): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    if (this.#closeHeld) return this.#finishLater("reset", this.#heldCause);
    this.#held = null;
    if (this.#rest === null) this.#socket.shutdown();
    if (this.#paused) this.#socket.resume();
  }

  takeArrived(into: Uint8Array): number {
    // Through TLS they would be the engine's bytes.
    if (this.#layer !== "plain" || this.#state === "gone" || this.#held !== null) return 0;
    // Bun has it, but not among its types.
    const { fd } = this.#socket as unknown as { readonly fd?: number };
    try {
      return fd === undefined || fd < 0 ? 0 : readSync(fd, into, 0, into.length, null);
    } catch {
      // Nothing has arrived, or the peer reset the connection, which Bun will report.
      return 0;
    }
  }

  release(): void {
    if (this.#state === "gone") return;
    // If bytes are left unread, the kernel sends RST, at which a peer may drop what it hasn't read
    // itself.
    for (let count = 0; count < maxDiscardedBytes;) {
      const more = this.takeArrived(discarded);
      if (more === 0) break;
      count += more;
    }
    this.#finishLater("destroyed");
    this.#socket.close();
  }

  destroy(): void {
    if (this.#state === "gone") return;
    this.#finishLater("destroyed");
    this.#socket.terminate();
  }

  #finishLater(why: TransportEnd, cause?: Error): void {
    this.#state = "gone";
    this.#rest = null;
    this.#held = null;
    queueMicrotask(() => this.#handler.onClose(why, cause));
  }

  onSocketHandshake(isSecure: boolean, error: unknown): void {
    if (this.#state === "gone") return;
    this.#layer = "secure";
    if (isSecure) {
      if (this.#paused && this.#state === "open") this.#socket.pause();
      if (this.#state === "open") this.#handler.onSecure?.();
      return;
    }
    this.#state = "gone";
    this.#rest = null;
    this.#socket.terminate();
    this.#handler.onClose("reset", handshakeError(error));
  }

  onSocketData(chunk: Uint8Array): void {
    if (this.#state !== "open") return;
    // A reset isn't deferred by the pause, and flushes what came before it. Nor is what TLS has
    // deciphered already.
    if (!this.#paused) return this.#handler.onData(chunk);
    (this.#held ??= []).push(chunk);
    this.#handler.onHeld?.();
  }

  onSocketDrain(): void {
    const rest = this.#rest;
    if (rest === null) return;
    const count = this.#socket.write(rest);
    if (count !== rest.length) return this.#keep(rest, count);
    this.#rest = null;
    if (this.#state === "closing") this.#socket.shutdown();
    this.#handler.onDrain();
  }

  onSocketEnd(): void {
    if (this.#state === "gone" || this.#writeFailed) return;
    if (this.#state !== "open") return;
    if (this.#paused) (this.#held ??= []).push(END);
    else this.#handler.onEnd();
  }

  onSocketClose(error: Error | undefined): void {
    if (this.#state === "gone") return;
    // Without our FIN and the peer's, no end is in order.
    const isReset = error !== undefined || this.#writeFailed || this.#rest !== null ||
      this.#state === "open";
    this.#rest = null;
    if (this.#held !== null) {
      this.#writeFailed = true;
      this.#closeHeld = true;
      this.#heldCause = error;
      return;
    }
    this.#state = "gone";
    this.#handler.onClose(isReset ? "reset" : "finished", error);
  }

  /** Delivers what was held while reading was paused, unless it was paused again. */
  #release(): void {
    while (this.#state === "open" && !this.#paused && this.#held !== null) {
      const chunk = this.#held.shift();
      if (chunk === END) this.#handler.onEnd();
      else if (chunk !== undefined) {
        this.#handler.onHeld?.();
        this.#handler.onData(chunk);
      } else if (this.#closeHeld) {
        this.#state = "gone";
        this.#handler.onClose("reset", this.#heldCause);
      } else {
        this.#held = null;
        this.#socket.resume();
      }
    }
  }
}
