/**
 * TLS as a layer upon any connection, for a runtime whose own would hold on to a descriptor for as
 * long as its peer leaves a handshake or a write hanging, whatever `close()` says.
 *
 * @module
 */

import { isIP } from "node:net";
import { Duplex } from "node:stream";
import { connect, type ConnectionOptions, type SecureContext, TLSSocket } from "node:tls";
import { handshakeError } from "./transport_error.ts";
import type { Connection, ConnectionHandler, TlsTrust, TransportEnd } from "./types.ts";

/** What is enciphered at once: four of TLS's records. */
const pieceBytes = 64 * 1024;

/** `closing` from `close()` on, `gone` once the connection beneath is given up. */
type State = "open" | "closing" | "gone";

/** A connection that speaks TLS over another one, of which it is the owner. */
export class TlsConnection implements Connection {
  readonly remoteAddress: string;
  readonly #plain: Connection;
  readonly #wire: Duplex;
  readonly #tls: TLSSocket;
  #handler: ConnectionHandler | undefined;
  #state: State = "open";
  #isSecure = false;
  /** It was given up, and the handler is to be told when the descriptor is free. */
  #isLeaving = false;
  /** What is still to be sent of the chunk in flight. */
  #chunk: Uint8Array | null = null;
  /** The engine hasn't taken the beginning of it yet. */
  #pieceInEngine = false;
  #isEngineDone = false;
  #isPaused = false;
  /** The peer's end arrived while reading was paused. */
  #isEndHeld = false;
  /** Says that the connection beneath has sent what the engine gave it. */
  #onWireSent: (() => void) | undefined;
  /** How the connection beneath ended, while what came before is still to be delivered. */
  #plainEnd: { readonly why: TransportEnd; readonly cause: Error | undefined } | undefined;
  readonly #handshake = Promise.withResolvers<void>();

  private constructor(plain: Connection, secure: (wire: Duplex) => TLSSocket, event: string) {
    this.remoteAddress = plain.remoteAddress;
    this.#plain = plain;
    this.#handshake.promise.catch(() => {});
    this.#wire = new Duplex({
      allowHalfOpen: true,
      read: () => {
        if (!this.#isPaused || !this.#isSecure) plain.resumeReading();
      },
      write: (chunk: Uint8Array, _encoding, done) => {
        if (plain.write(chunk)) done();
        else this.#onWireSent = done;
      },
      autoDestroy: false,
    });
    this.#tls = secure(this.#wire);
    this.#tls.once(event, () => this.#onSecure());
    this.#tls.on("data", (chunk: Uint8Array) => this.#onData(chunk));
    this.#tls.on("finish", () => this.#onEngineDone());
    this.#tls.on("end", () => this.#onEnd());
    this.#tls.on("error", (error) => this.#finish("reset", error));
    this.#tls.on("close", () => this.#onTlsClose());
  }

  /** The side that was accepted. What its handler is told begins with `onSecure`. */
  static accepted(plain: Connection, secureContext: SecureContext): TlsConnection {
    const options = { isServer: true, secureContext, allowHalfOpen: true };
    return new TlsConnection(
      plain,
      // The types know of sockets only; any duplex stream does.
      (wire) => new TLSSocket(wire as never, options as never),
      "secure",
    );
  }

  /** The side that connected; see {@linkcode secured}. */
  static connected(plain: Connection, { ca, serverName }: TlsTrust): TlsConnection {
    const options = {
      allowHalfOpen: true,
      host: serverName,
      // The handshake has no room for an address; the certificate is held to it all the same.
      ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
      ...(ca === undefined ? {} : { ca }),
    };
    return new TlsConnection(
      plain,
      (wire) => connect({ ...options, socket: wire } as unknown as ConnectionOptions),
      "secureConnect",
    );
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
    onData: (chunk) => {
      if (!this.#wire.push(chunk.slice())) this.#plain.pauseReading();
    },
    onDrain: () => {
      const done = this.#onWireSent;
      this.#onWireSent = undefined;
      done?.();
      if (this.#isEngineDone) this.#onEngineDone();
      else if (!this.#pieceInEngine) this.#sendNext();
    },
    onEnd: () => {
      this.#wire.push(null);
      this.#giveUpHandshake();
    },
    onClose: (why, cause) => {
      if (this.#isLeaving) this.#handler?.onClose("destroyed");
      if (this.#state === "gone") return;
      if (why === "finished" || this.#state === "closing") return this.#finish(why, cause);
      // What came before is still on its way through the engine.
      this.#plainEnd = { why, cause };
      if (this.#tls.readableEnded && !this.#isEndHeld) this.#finish(why, cause);
      else if (!this.#wire.readableEnded) this.#wire.push(null);
      this.#giveUpHandshake(cause);
    },
  };

  get remotePort(): number {
    return this.#plain.remotePort;
  }

  get unsentBytes(): number {
    return this.#chunk === null ? 0 : this.#chunk.length;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#state !== "open" || this.#plainEnd !== undefined) return false;
    if (this.#chunk !== null) throw new Error("write() while another chunk is in flight");
    if (chunk.length === 0) return true;
    this.#chunk = chunk;
    this.#sendPiece(chunk);
    return false;
  }

  #sendPiece(chunk: Uint8Array): void {
    this.#pieceInEngine = true;
    this.#tls.write(chunk.subarray(0, pieceBytes), this.#onPieceTaken);
  }

  readonly #onPieceTaken = (error?: Error | null): void => {
    if (error || this.#state === "gone") return;
    this.#pieceInEngine = false;
    this.#sendNext();
  };

  /** The engine takes all it is given, so that it must not be given more than the wire takes. */
  #sendNext(): void {
    if (this.#chunk === null || this.#wire.writableLength > 0) return;
    this.#chunk = this.#chunk.subarray(pieceBytes);
    if (this.#chunk.length > 0) return this.#sendPiece(this.#chunk);
    this.#chunk = null;
    if (this.#state === "closing") this.#endIfSent();
    this.#handler?.onDrain();
  }

  pauseReading(): void {
    if (this.#state !== "open") return;
    this.#isPaused = true;
    this.#tls.pause();
    // The engine goes on reading, and would keep all that comes. A handshake needs to be read.
    if (this.#isSecure) this.#plain.pauseReading();
  }

  resumeReading(): void {
    if (this.#state !== "open" || !this.#isPaused) return;
    this.#isPaused = false;
    this.#tls.resume();
    this.#plain.resumeReading();
    if (this.#isEndHeld) queueMicrotask(() => this.#onEnd());
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
    this.#tls.resume();
    this.#plain.resumeReading();
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

  #onSecure(): void {
    if (this.#state === "gone") return;
    this.#isSecure = true;
    if (this.#isPaused) this.#plain.pauseReading();
    this.#handshake.resolve();
    if (this.#state === "open") this.#handler?.onSecure?.();
    else this.#endIfSent();
  }

  /** The engine waits on for what can't come; but it may not have read yet what came before. */
  #giveUpHandshake(cause?: Error): void {
    if (this.#isSecure) return;
    setTimeout(() => {
      if (!this.#isSecure) this.#finish("reset", cause);
    }, 0);
  }

  #onData(chunk: Uint8Array): void {
    if (this.#state === "open") this.#handler?.onData(chunk);
  }

  /** After our end, what the peer sends isn't read: not even its part of a handshake. */
  #endIfSent(): void {
    if (this.#isSecure && this.#chunk === null) this.#tls.end();
  }

  /** The engine's last word is on the wire, or about to be. */
  #onEngineDone(): void {
    this.#isEngineDone = true;
    if (this.#wire.writableLength === 0) this.#plain.close();
  }

  #onEnd(): void {
    this.#isEndHeld = this.#isPaused && this.#state === "open";
    if (this.#isEndHeld) return;
    if (this.#plainEnd !== undefined) this.#finish(this.#plainEnd.why, this.#plainEnd.cause);
    else if (this.#state === "open" && this.#isSecure) this.#handler?.onEnd();
  }

  #onTlsClose(): void {
    // In order it is the connection beneath that says so.
    if (this.#state === "open" || !this.#isSecure) {
      const { why, cause } = this.#plainEnd ?? { why: "reset", cause: undefined };
      this.#finish(why, cause);
    }
  }

  #finish(why: TransportEnd, cause?: Error): void {
    if (this.#state === "gone") return;
    const failure = this.#isSecure
      ? undefined
      : handshakeError(cause ?? "the peer closed the connection");
    if (failure !== undefined) this.#handshake.reject(failure);
    this.#free();
    this.#handler?.onClose(failure === undefined ? why : "reset", failure ?? cause);
  }

  #free(): void {
    this.#state = "gone";
    this.#chunk = null;
    this.#handshake.reject(handshakeError("the connection was given up"));
    this.#plain.destroy();
    // Deno never frees an engine that is destroyed on the turn on which it was made.
    setImmediate(() => {
      this.#tls.destroy();
      this.#wire.destroy();
    });
  }
}
