/**
 * TLS as a layer upon any connection, for a runtime whose own TLS keeps a descriptor for as long as a
 * peer leaves a handshake or a write hanging, even after `close()`.
 *
 * @module
 */

import type { SecureContext } from "node:tls";
import { TlsEngine, type TlsEngineOwner, type TlsSide } from "./engine.ts";
import { TlsRecords } from "./records.ts";
import { handshakeError } from "../transport_error.ts";
import type { Connection, ConnectionHandler, TlsTrust, TransportEnd } from "../types.ts";

/**
 * The bytes that are enciphered at once: one record of TLS. At most this much of a stalled peer's chunk
 * is copied.
 */
const pieceBytes = 16 * 1024;

/**
 * The most bytes that a peer may send before the handshake has succeeded. A client sends some 2 KiB; a
 * server name or a ticket may add some.
 */
const maxHandshakeBytes = 16 * 1024;

/**
 * The bytes that Deno's engine holds during a handshake besides what this layer keeps (measured with
 * 1,500 handshakes).
 */
const handshakeEngineBytes = 24 * 1024;

/** Milliseconds to tell a peer why its handshake failed. */
const lastWordMs = 1_000;

/**
 * `closing` from `close()` on; `failing` while the peer is told that its handshake has failed; `gone`
 * once the connection beneath is given up.
 */
type State = "open" | "closing" | "failing" | "gone";

/** A connection that speaks TLS over another one, of which it is the owner. */
export class TlsConnection implements Connection, TlsEngineOwner {
  readonly remoteAddress: string;
  readonly copiedBytes = pieceBytes;
  readonly #plain: Connection;
  readonly #side: TlsSide;
  /** The received bytes that the engine hasn't got yet. */
  readonly #records = new TlsRecords();
  /** An engine is costly, so a peer gets one only after it has begun its handshake. */
  #engine: TlsEngine | undefined;
  #handler: ConnectionHandler | undefined;
  #state: State = "open";
  #isSecure = false;
  /** The bytes of the handshake that the peer has sent. */
  #handshakeBytes = 0;
  /** The connection was given up; the handler is told when the descriptor is free. */
  #isLeaving = false;
  /** The unsent rest of the chunk in flight. */
  #chunk: Uint8Array | null = null;
  /** The engine hasn't taken the beginning of it yet. */
  #pieceInEngine = false;
  /** The engine takes nothing just now, or isn't there. */
  #isEngineFull = true;
  #isEngineDone = false;
  #isPaused = false;
  /** Nothing more comes from the connection beneath. */
  #isWireAtEnd = false;
  /** The peer's end arrived while reading was paused. */
  #isEndHeld = false;
  /** The end of the connection beneath, while bytes from before it are still to be delivered. */
  #plainEnd: { readonly why: TransportEnd; readonly cause: Error | undefined } | undefined;
  /** The reason for a failed handshake, while the peer is being told. */
  #failure: { readonly cause: Error; readonly timer: ReturnType<typeof setTimeout> } | undefined;
  readonly #handshake = Promise.withResolvers<void>();

  private constructor(plain: Connection, side: TlsSide) {
    this.remoteAddress = plain.remoteAddress;
    this.#plain = plain;
    this.#side = side;
    this.#handshake.promise.catch(() => {});
  }

  /** Makes the accepting side. Its handler's first call is `onSecure`. */
  static accepted(plain: Connection, context: SecureContext): TlsConnection {
    return new TlsConnection(plain, { context });
  }

  /** Makes the connecting side; see {@linkcode secured}. */
  static connected(plain: Connection, trust: TlsTrust): TlsConnection {
    const connection = new TlsConnection(plain, { trust });
    connection.#engine = new TlsEngine(connection.#side, connection);
    return connection;
  }

  /** Takes the handler. Call it before anything can have happened, or after `secured()`. */
  start(handler: ConnectionHandler): void {
    this.#handler = handler;
  }

  /** Resolves when the handshake has succeeded; rejects with a `handshake_failed` when it has not. */
  secured(): Promise<void> {
    return this.#handshake.promise;
  }

  /** The handler of the connection beneath. */
  readonly below: ConnectionHandler = {
    site: () => this.#handler?.site?.() ?? this.remoteAddress,
    isLight: () => this.#handler?.isLight?.() ?? false,
    onData: (chunk) => {
      // After the peer's end, the engine would keep everything that arrives.
      if (this.#isOver || this.#engine?.hasEnded) return;
      this.#records.push(chunk);
      this.#feed();
      if (!this.#isOver) this.#handler?.onHeld?.();
    },
    onDrain: () => {
      this.#engine?.sent();
      if (this.#state === "failing") return this.#plain.close();
      if (this.#isEngineDone) this.#closeIfDone();
      else if (!this.#pieceInEngine) this.#sendNext();
    },
    onEnd: () => {
      if (this.#isOver) return;
      this.#endWire();
      this.#giveUpHandshake();
    },
    onClose: (why, cause) => {
      if (this.#isLeaving) this.#handler?.onClose("destroyed");
      if (this.#state === "gone") return;
      if (why === "finished" || this.#state !== "open") return this.#finish(why, cause);
      // Bytes from before are still on their way through the engine.
      this.#plainEnd = { why, cause };
      if (this.#engine?.hasEnded && !this.#isEndHeld) this.#finish(why, cause);
      else this.#endWire();
      this.#giveUpHandshake(cause);
    },
  };

  get remotePort(): number {
    return this.#plain.remotePort;
  }

  get unsentBytes(): number {
    return this.#chunk === null ? 0 : this.#chunk.length;
  }

  get heldBytes(): number {
    if (this.#state === "gone") return 0;
    const isAtHandshake = this.#engine !== undefined && !this.#isSecure;
    return this.#records.heldBytes + (isAtHandshake ? handshakeEngineBytes : 0);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#state !== "open" || this.#plainEnd !== undefined) return false;
    if (this.#chunk !== null) throw new Error("write() while another chunk is in flight");
    if (chunk.length === 0) return true;
    this.#chunk = chunk;
    if (this.#isSecure) this.#sendPiece(chunk);
    return false;
  }

  #sendPiece(chunk: Uint8Array): void {
    this.#pieceInEngine = true;
    this.#engine!.encipher(chunk.subarray(0, pieceBytes), this.#onPieceTaken);
  }

  readonly #onPieceTaken = (error?: Error | null): void => {
    if (error || this.#isOver) return;
    this.#pieceInEngine = false;
    this.#sendNext();
  };

  /**
   * Sends the next piece. The engine accepts any amount, so it must get no more than the connection
   * beneath takes.
   */
  #sendNext(): void {
    if (this.#chunk === null || !this.#isSecure || this.#engine!.unsentBytes > 0) return;
    this.#chunk = this.#chunk.subarray(pieceBytes);
    if (this.#chunk.length > 0) return this.#sendPiece(this.#chunk);
    this.#chunk = null;
    if (this.#state === "closing") this.#endIfSent();
    this.#handler?.onDrain();
  }

  pauseReading(): void {
    if (this.#state !== "open") return;
    this.#isPaused = true;
    this.#engine?.pause();
    // A handshake must be read.
    if (this.#isSecure) this.#plain.pauseReading();
  }

  resumeReading(): void {
    if (this.#state !== "open" || !this.#isPaused) return;
    this.#isPaused = false;
    this.#engine?.resume();
    queueMicrotask(() => this.#readOn());
  }

  close(): void {
    if (this.#state !== "open") return;
    if (this.#plainEnd !== undefined) {
      const { why, cause } = this.#plainEnd;
      this.#state = "closing";
      queueMicrotask(() => this.#finish(why, cause));
      return;
    }
    this.#state = "closing";
    this.#isPaused = false;
    this.#endIfSent();
    this.#engine?.resume();
    queueMicrotask(() => this.#readOn());
  }

  takeArrived(): number {
    return 0;
  }

  release(): void {
    this.#giveUp(() => this.#plain.release());
  }

  destroy(): void {
    this.#giveUp(() => this.#plain.destroy());
  }

  #giveUp(free: () => void): void {
    if (this.#state === "gone") return;
    free();
    this.#free();
    // Unless it is told already, the connection beneath will say when the descriptor is free.
    if (this.#plainEnd === undefined) this.#isLeaving = true;
    else queueMicrotask(() => this.#handler?.onClose("destroyed"));
  }

  /** True if received bytes may be processed; always so during a handshake. */
  get #isReading(): boolean {
    return !this.#isPaused || !this.#isSecure;
  }

  get #isOver(): boolean {
    return this.#state === "failing" || this.#state === "gone";
  }

  /** Reads what was left when reading was paused, unless it's paused again. */
  #readOn(): void {
    if (this.#isOver || !this.#isReading) return;
    this.#feed();
    if (this.#isEndHeld) this.onDecipheredEnd();
    if (!this.#isOver) this.#handler?.onHeld?.();
  }

  /** Gives the engine what has arrived, record by record, as long as that is wanted. */
  #feed(): void {
    if (this.#records.nextBytes > 0) {
      if (!this.#isSecure && !this.#admitsHandshake()) return;
      this.#engine ??= new TlsEngine(this.#side, this);
    }
    while (!this.#isEngineFull && this.#isReading) {
      if (!this.#isSecure && !this.#admitsHandshake()) return;
      const records = this.#records.take(this.#isSecure ? pieceBytes : 0);
      if (records === undefined) break;
      if (!this.#isSecure) this.#handshakeBytes += records.length;
      this.#isEngineFull = !this.#engine!.feed(records);
      if (this.#isOver) return;
    }
    if (this.#records.nextBytes > 0) return this.#plain.pauseReading();
    if (this.#isWireAtEnd) this.#engine?.feedEnd();
    else if (this.#isReading) this.#plain.resumeReading();
  }

  /** Bounds what the engine may have to keep until the handshake has succeeded. */
  #admitsHandshake(): boolean {
    const bytes = this.#handshakeBytes + this.#records.nextBytes;
    // The listener was chosen by this side, so it isn't limited.
    if ("trust" in this.#side || bytes <= maxHandshakeBytes) return true;
    this.#fail(new Error(`more than ${maxHandshakeBytes} bytes of a handshake`));
    return false;
  }

  #endWire(): void {
    this.#isWireAtEnd = true;
    if (this.#records.nextBytes === 0) this.#engine?.feedEnd();
  }

  /**
   * Gives the handshake up: the engine would wait for bytes that can't come. It may not have read earlier
   * ones yet.
   */
  #giveUpHandshake(cause?: Error): void {
    if (this.#isSecure) return;
    setTimeout(() => {
      if (!this.#isSecure) this.#finish("reset", cause);
    }, 0);
  }

  /** After this side's end, the peer's bytes aren't read, not even its part of a handshake. */
  #endIfSent(): void {
    if (this.#isSecure && this.#chunk === null) this.#engine!.end();
  }

  // The engine's callbacks.

  onEngineSecure(): void {
    if (this.#isOver) return;
    this.#isSecure = true;
    if (this.#isPaused) this.#plain.pauseReading();
    this.#handshake.resolve();
    if (this.#chunk !== null) this.#sendPiece(this.#chunk);
    if (this.#state === "open") this.#handler?.onSecure?.();
    else this.#endIfSent();
  }

  onDeciphered(chunk: Uint8Array): void {
    if (this.#state === "open") this.#handler?.onData(chunk);
  }

  onDecipheredEnd(): void {
    this.#isEndHeld = this.#isPaused && this.#state === "open";
    if (this.#isEndHeld) return;
    if (this.#plainEnd !== undefined) this.#finish(this.#plainEnd.why, this.#plainEnd.cause);
    else if (this.#state === "open" && this.#isSecure) this.#handler?.onEnd();
  }

  sendEnciphered(bytes: Uint8Array): boolean {
    return this.#plain.write(bytes);
  }

  onEngineRoom(): void {
    if (!this.#isEngineFull) return;
    this.#isEngineFull = false;
    queueMicrotask(() => this.#readOn());
  }

  onEngineDone(): void {
    this.#isEngineDone = true;
    // If the peer ended first, the engine reports that before it hands out its last bytes.
    setImmediate(() => this.#closeIfDone());
  }

  #closeIfDone(): void {
    if (!this.#isOver && this.#engine?.unsentBytes === 0) this.#plain.close();
  }

  onEngineError(error: Error): void {
    if (this.#isSecure) this.#finish("reset", error);
    else this.#fail(error);
  }

  onEngineClose(): void {
    // If it ended in order, the connection beneath says so.
    if (this.#isOver || this.#state !== "open" && this.#isSecure) return;
    const { why, cause } = this.#plainEnd ?? { why: "reset", cause: undefined };
    this.#finish(why, cause);
  }

  /** The handshake has failed: tells the peer, if it can be told, then ends the connection. */
  #fail(cause: Error): void {
    if (this.#isOver) return;
    if (this.#plainEnd !== undefined || "trust" in this.#side) return this.#finish("reset", cause);
    this.#state = "failing";
    this.#records.clear();
    this.#failure = { cause, timer: setTimeout(() => this.#finish("reset"), lastWordMs) };
    this.#plain.resumeReading();
    if (this.#plain.unsentBytes === 0) this.#plain.close();
  }

  #finish(why: TransportEnd, cause?: Error): void {
    if (this.#state === "gone") return;
    const failure = this.#isSecure
      ? undefined
      : handshakeError(this.#failure?.cause ?? cause ?? "the peer closed the connection");
    if (failure !== undefined) this.#handshake.reject(failure);
    this.#free();
    this.#handler?.onClose(failure === undefined ? why : "reset", failure ?? cause);
  }

  #free(): void {
    this.#state = "gone";
    this.#chunk = null;
    this.#records.clear();
    clearTimeout(this.#failure?.timer);
    this.#handshake.reject(handshakeError("the connection was given up"));
    this.#plain.destroy();
    this.#engine?.destroy();
  }
}
