/**
 * TLS as a layer upon any connection, for a runtime whose own would hold on to a descriptor for as
 * long as its peer leaves a handshake or a write hanging, whatever `close()` says.
 *
 * @module
 */

import type { SecureContext } from "node:tls";
import { TlsEngine, type TlsEngineOwner, type TlsSide } from "./engine.ts";
import { TlsRecords } from "./records.ts";
import { handshakeError } from "../transport_error.ts";
import type { Connection, ConnectionHandler, TlsTrust, TransportEnd } from "../types.ts";

/** What is enciphered at once: one of TLS's records. So much is copied of what a stalled peer is sent. */
const pieceBytes = 16 * 1024;

/**
 * What a peer may send before the handshake has succeeded. A client's part of it is some 2 KiB; a name
 * that is looked for or a ticket may add some.
 */
const maxHandshakeBytes = 16 * 1024;

/** What Deno's engine holds during a handshake beside what it keeps (measured with 1,500 of them). */
const handshakeEngineBytes = 24 * 1024;

/** How long a peer whose handshake failed may take to hear why. */
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
  /** What has arrived and the engine hasn't got yet. */
  readonly #records = new TlsRecords();
  /** Costly, so a peer gets one only when it has begun its handshake. */
  #engine: TlsEngine | undefined;
  #handler: ConnectionHandler | undefined;
  #state: State = "open";
  #isSecure = false;
  /** What the peer has sent of its handshake. */
  #handshakeBytes = 0;
  /** It was given up, and the handler is to be told when the descriptor is free. */
  #isLeaving = false;
  /** What is still to be sent of the chunk in flight. */
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
  /** How the connection beneath ended, while what came before is still to be delivered. */
  #plainEnd: { readonly why: TransportEnd; readonly cause: Error | undefined } | undefined;
  /** Why the handshake failed, while the peer is told. */
  #failure: { readonly cause: Error; readonly timer: ReturnType<typeof setTimeout> } | undefined;
  readonly #handshake = Promise.withResolvers<void>();

  private constructor(plain: Connection, side: TlsSide) {
    this.remoteAddress = plain.remoteAddress;
    this.#plain = plain;
    this.#side = side;
    this.#handshake.promise.catch(() => {});
  }

  /** The side that was accepted. What its handler is told begins with `onSecure`. */
  static accepted(plain: Connection, context: SecureContext): TlsConnection {
    return new TlsConnection(plain, { context });
  }

  /** The side that connected; see {@linkcode secured}. */
  static connected(plain: Connection, trust: TlsTrust): TlsConnection {
    const connection = new TlsConnection(plain, { trust });
    connection.#engine = new TlsEngine(connection.#side, connection);
    return connection;
  }

  /** Takes the handler. To be called before anything can have happened, or from `secured()` on. */
  start(handler: ConnectionHandler): void {
    this.#handler = handler;
  }

  /** Resolves when the handshake has succeeded; rejects with a `handshake_failed` when it has not. */
  secured(): Promise<void> {
    return this.#handshake.promise;
  }

  /** What the connection beneath tells. */
  readonly below: ConnectionHandler = {
    site: () => this.#handler?.site?.() ?? this.remoteAddress,
    isLight: () => this.#handler?.isLight?.() ?? false,
    onData: (chunk) => {
      // Behind the peer's end, the engine would keep all that comes.
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
      // What came before is still on its way through the engine.
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

  /** The engine takes all it is given, so that it must not be given more than the wire takes. */
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
    // A handshake needs to be read.
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

  /** Whether what arrives is wanted; a handshake always is. */
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
    // Which listener it is, is ours to choose.
    if ("trust" in this.#side || bytes <= maxHandshakeBytes) return true;
    this.#fail(new Error(`more than ${maxHandshakeBytes} bytes of a handshake`));
    return false;
  }

  #endWire(): void {
    this.#isWireAtEnd = true;
    if (this.#records.nextBytes === 0) this.#engine?.feedEnd();
  }

  /** The engine waits on for what can't come; but it may not have read yet what came before. */
  #giveUpHandshake(cause?: Error): void {
    if (this.#isSecure) return;
    setTimeout(() => {
      if (!this.#isSecure) this.#finish("reset", cause);
    }, 0);
  }

  /** After our end, what the peer sends isn't read: not even its part of a handshake. */
  #endIfSent(): void {
    if (this.#isSecure && this.#chunk === null) this.#engine!.end();
  }

  // What the engine tells.

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
    // Where the peer has ended first, the engine says so before it gives its last word away.
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
    // In order it is the connection beneath that says so.
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
