/**
 * The platform's TLS engine, working on bytes without a socket.
 *
 * @module
 */

import { isIP } from "node:net";
import { Duplex } from "node:stream";
import { connect, type ConnectionOptions, type SecureContext, TLSSocket } from "node:tls";
import type { TlsTrust } from "../types.ts";

/**
 * The bytes of a record that the engine gets at once. It keeps a buffer as large as the largest piece it
 * ever got, for as long as it lives; it is that large from the beginning.
 */
const fedBytes = 4 * 1024;

/** The callbacks of an engine's owner. They may come from inside a call to the engine, or later. */
export interface TlsEngineOwner {
  /** The handshake has succeeded. */
  onEngineSecure(): void;
  /** Deciphered bytes arrived. */
  onDeciphered(chunk: Uint8Array): void;
  /** The peer has ended its sending. */
  onDecipheredEnd(): void;
  /**
   * Sends enciphered bytes.
   *
   * @returns true if they are sent; if false, call {@linkcode TlsEngine.sent} when they are.
   */
  sendEnciphered(bytes: Uint8Array): boolean;
  /** There is room for {@linkcode TlsEngine.feed}, for the first time or again. */
  onEngineRoom(): void;
  /** All enciphered bytes were given to `sendEnciphered`, or are about to be. */
  onEngineDone(): void;
  onEngineError(error: Error): void;
  onEngineClose(): void;
}

/** The engine's side of the connection. A side that tries a certificate accepts any. */
export type TlsSide =
  | { readonly context: SecureContext }
  | { readonly trust: TlsTrust | "anyone" };

/**
 * The stream that the engine takes for the network. The engine destroys it on its own end, before it has
 * handed out its last bytes: a `close_notify`, or the reason for a failed handshake.
 */
class Wire extends Duplex {
  /** True if there may be last bytes, so that only the owner destroys it. */
  hasLastWords = false;

  override destroy(error?: Error): this {
    return this.hasLastWords ? this : super.destroy(error);
  }

  free(): void {
    super.destroy();
  }
}

/** Enciphers and deciphers for one connection. */
export class TlsEngine {
  readonly #wire: Wire;
  readonly #tls: TLSSocket;
  /** Tells the engine that its enciphered bytes are sent. */
  #onSent: (() => void) | undefined;
  #hasStarted = false;

  constructor(side: TlsSide, owner: TlsEngineOwner) {
    this.#wire = new Wire({
      allowHalfOpen: true,
      read: () => {
        if (this.#hasStarted) owner.onEngineRoom();
      },
      write: (chunk: Uint8Array, _encoding, done) => {
        if (owner.sendEnciphered(chunk)) done();
        else this.#onSent = done;
      },
      autoDestroy: false,
    });
    this.#tls = "trust" in side ? connectTo(this.#wire, side.trust) : new TLSSocket(
      // The types know sockets only, but any duplex stream works.
      this.#wire as never,
      { isServer: true, secureContext: side.context, allowHalfOpen: true } as never,
    );
    // A side that doesn't accept the listener's certificate must not complete the handshake.
    this.#wire.hasLastWords = "context" in side;
    this.#tls.once("trust" in side ? "secureConnect" : "secure", () => {
      this.#wire.hasLastWords = true;
      owner.onEngineSecure();
    });
    this.#tls.on("data", (chunk: Uint8Array) => owner.onDeciphered(chunk));
    this.#tls.on("finish", () => owner.onEngineDone());
    this.#tls.on("end", () => owner.onDecipheredEnd());
    this.#tls.on("error", (error) => owner.onEngineError(error));
    this.#tls.on("close", () => owner.onEngineClose());
    // On Deno, bytes that the engine can't parse before it has started are an uncaught error.
    setImmediate(() => {
      this.#hasStarted = true;
      owner.onEngineRoom();
    });
  }

  /** The number of enciphered bytes that aren't sent. */
  get unsentBytes(): number {
    return this.#wire.writableLength;
  }

  /** True if the peer's end has been reported. */
  get hasEnded(): boolean {
    return this.#tls.readableEnded;
  }

  /**
   * Takes bytes from the wire. The caller must not change them any more.
   *
   * @returns true if there is room for more at once.
   */
  feed(bytes: Uint8Array): boolean {
    let hasRoom = true;
    for (let at = 0; at < bytes.length; at += fedBytes) {
      hasRoom = this.#wire.push(bytes.subarray(at, at + fedBytes));
    }
    return hasRoom;
  }

  /** Ends the input from the wire. May be called more than once. */
  feedEnd(): void {
    if (!this.#wire.readableEnded) this.#wire.push(null);
  }

  /** Enciphers a piece, and calls back when it may have the next. */
  encipher(piece: Uint8Array, onTaken: (error?: Error | null) => void): void {
    this.#tls.write(piece, onTaken);
  }

  /** Notes that the bytes of `sendEnciphered` are sent. */
  sent(): void {
    const done = this.#onSent;
    this.#onSent = undefined;
    done?.();
  }

  pause(): void {
    this.#tls.pause();
  }

  resume(): void {
    this.#tls.resume();
  }

  /** Sends `close_notify` after everything that was enciphered. */
  end(): void {
    this.#tls.end();
  }

  /** Frees the engine. */
  destroy(): void {
    // Deno never frees an engine that is destroyed on the turn on which it was made.
    setImmediate(() => {
      this.#tls.destroy();
      this.#wire.free();
    });
  }
}

function connectTo(wire: Duplex, trust: TlsTrust | "anyone"): TLSSocket {
  if (trust === "anyone") {
    const options = { allowHalfOpen: true, socket: wire, rejectUnauthorized: false };
    return connect(options as unknown as ConnectionOptions);
  }
  const { ca, serverName } = trust;
  const options = {
    allowHalfOpen: true,
    host: serverName,
    socket: wire,
    // A handshake can't carry an IP address as server name; the certificate is checked against it all the
    // same.
    ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
    ...(ca === undefined ? {} : { ca }),
  };
  return connect(options as unknown as ConnectionOptions);
}
