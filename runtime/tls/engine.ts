/**
 * The engine of TLS that the platform has, between two ends of bytes.
 *
 * @module
 */

import { isIP } from "node:net";
import { Duplex } from "node:stream";
import { connect, type ConnectionOptions, type SecureContext, TLSSocket } from "node:tls";
import type { TlsTrust } from "../types.ts";

/**
 * What the engine gets of a record at once. It keeps a buffer as large as the largest piece that it ever
 * got, for as long as it lives; so large it's from the beginning.
 */
const fedBytes = 4 * 1024;

/** What an engine tells its owner, from inside of what it's called for or later. */
export interface TlsEngineOwner {
  /** The handshake has succeeded. */
  onEngineSecure(): void;
  /** Bytes that were deciphered. */
  onDeciphered(chunk: Uint8Array): void;
  /** The peer has ended its sending. */
  onDecipheredEnd(): void;
  /**
   * Sends enciphered bytes.
   *
   * @returns Whether they are sent; if not, {@linkcode TlsEngine.sent} has to say when.
   */
  sendEnciphered(bytes: Uint8Array): boolean;
  /** There is room to {@linkcode TlsEngine.feed} it, for the first time or again. */
  onEngineRoom(): void;
  /** All that it ever enciphers was given to `sendEnciphered`, or is about to be. */
  onEngineDone(): void;
  onEngineError(error: Error): void;
  onEngineClose(): void;
}

/** Whose side of the connection an engine is on; one that tries a certificate trusts anyone. */
export type TlsSide =
  | { readonly context: SecureContext }
  | { readonly trust: TlsTrust | "anyone" };

/**
 * What the engine takes for the network. It destroys that on its own end, before it has given it its last
 * words: a `close_notify`, or why a handshake has failed.
 */
class Wire extends Duplex {
  /** Whether there may be last words, so that only the owner destroys it. */
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
  /** Says that what was enciphered is sent. */
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
      // The types know of sockets only; any duplex stream does.
      this.#wire as never,
      { isServer: true, secureContext: side.context, allowHalfOpen: true } as never,
    );
    // One that doesn't believe the listener must not complete the handshake.
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
    // On Deno, what it can't make sense of before it has started is an uncaught error.
    setImmediate(() => {
      this.#hasStarted = true;
      owner.onEngineRoom();
    });
  }

  /** Bytes that are enciphered and not sent. */
  get unsentBytes(): number {
    return this.#wire.writableLength;
  }

  /** Whether the peer's end has been told. */
  get hasEnded(): boolean {
    return this.#tls.readableEnded;
  }

  /**
   * Takes bytes from the wire, which must not change any more.
   *
   * @returns Whether there is room for more at once.
   */
  feed(bytes: Uint8Array): boolean {
    let hasRoom = true;
    for (let at = 0; at < bytes.length; at += fedBytes) {
      hasRoom = this.#wire.push(bytes.subarray(at, at + fedBytes));
    }
    return hasRoom;
  }

  /** Nothing more comes from the wire. Idempotent. */
  feedEnd(): void {
    if (!this.#wire.readableEnded) this.#wire.push(null);
  }

  /** Enciphers a piece, and calls back when it may have the next. */
  encipher(piece: Uint8Array, onTaken: (error?: Error | null) => void): void {
    this.#tls.write(piece, onTaken);
  }

  /** What `sendEnciphered` got is sent. */
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

  /** Says goodbye to the peer behind all that was enciphered. */
  end(): void {
    this.#tls.end();
  }

  /** Frees it. */
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
    // The handshake has no room for an address; the certificate is held to it all the same.
    ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
    ...(ca === undefined ? {} : { ca }),
  };
  return connect(options as unknown as ConnectionOptions);
}
