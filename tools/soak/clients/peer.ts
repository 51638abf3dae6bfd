/**
 * A client's end of a connection that can do what a well-behaved one never does: come from any
 * loopback address, abort, stop reading. It is made of `node:net`, which can on both runtimes.
 *
 * @module
 */

import { connect, type Socket } from "node:net";
import process from "node:process";
import type { TlsTrust } from "../../../runtime/types.ts";
import { tlsOver } from "./tls_pipe.ts";

/** Where the server is. */
export interface PeerTarget {
  /** An IP address. */
  readonly hostname: string;
  readonly port: number;
  /** Speak TLS; without it, bytes go as they are. */
  readonly tls?: TlsTrust;
}

/**
 * How it ended: by the server's FIN or RST, because there was no connection in the first place, or
 * because this side left.
 */
export type PeerEnd = "fin" | "reset" | "refused" | "left";

/**
 * Whether connections to a server may come from any address of 127.0.0.0/8: it's on this machine, and
 * the system has them all.
 */
export function hasLoopbackAddresses({ hostname }: PeerTarget): boolean {
  return process.platform === "linux" && hostname.startsWith("127.");
}

/** What a peer tells its owner. */
export interface PeerEvents {
  /** It may write: the handshake is done, where there is one. */
  onConnect?(): void;
  /** The chunk may be kept. */
  onData?(chunk: Uint8Array): void;
  /** The kernel has taken everything that was written. */
  onDrain?(): void;
  /** It is over: exactly once, last. */
  onEnd?(how: PeerEnd): void;
}

/** One connection. A FIN of the server's is answered with one. */
export class Peer {
  readonly #socket: Socket;
  /** What the peers say goes through this; the socket itself, or TLS over it. */
  readonly #stream: Socket;
  #isConnected = false;
  #isLeaving = false;
  #isStalled = false;
  #isReady = false;
  #end: PeerEnd | undefined;
  #localPort = 0;

  /**
   * Begins to connect.
   *
   * @param localAddress The loopback address to come from; the system's choice without it.
   */
  constructor(target: PeerTarget, events: PeerEvents, localAddress?: string) {
    const { hostname: host, port, tls } = target;
    const from = localAddress === undefined ? {} : { localAddress };
    const socket = connect({ host, port, ...from, allowHalfOpen: true, noDelay: true });
    const stream = tls === undefined
      ? socket
      : tlsOver(socket, tls, () => !(this.#isStalled && this.#isReady));
    this.#socket = socket;
    this.#stream = stream;
    socket.on("connect", () => {
      this.#isConnected = true;
      this.#localPort = socket.localPort ?? 0;
    });
    stream.on(tls === undefined ? "connect" : "secureConnect", () => {
      this.#isReady = true;
      if (this.#isStalled) this.pause();
      if (!this.#isLeaving) events.onConnect?.();
    });
    stream.on("data", (chunk: Uint8Array) => {
      if (!this.#isLeaving) events.onData?.(chunk);
    });
    stream.on("drain", () => events.onDrain?.());
    stream.on("end", () => {
      this.#end ??= this.#isLeaving ? "left" : "fin";
      stream.end();
    });
    const onError = () => {
      this.#end ??= this.#isLeaving ? "left" : this.#isConnected ? "reset" : "refused";
      socket.destroy();
    };
    socket.on("error", onError);
    if (stream !== socket) stream.on("error", onError);
    socket.on("close", () => {
      events.onEnd?.(this.#end ?? (this.#isLeaving ? "left" : "reset"));
    });
  }

  /** The port it came from; 0 before it is connected. */
  get localPort(): number {
    return this.#localPort;
  }

  /**
   * Sends; text in UTF-8.
   *
   * @param onSent The kernel has taken it.
   * @returns Whether more may be written; else `onDrain` follows.
   */
  write(bytes: Uint8Array | string, onSent?: () => void): boolean {
    return this.#stream.write(bytes, (error) => {
      if (!error) onSent?.();
    });
  }

  /**
   * Stops reading, so that the server's writes stall when the kernel's buffers are full; behind TLS from
   * the end of the handshake on.
   */
  pause(): void {
    this.#isStalled = true;
    this.#stream.pause();
    if (this.#isReady) this.#socket.pause();
  }

  resume(): void {
    this.#isStalled = false;
    this.#stream.resume();
    this.#socket.resume();
  }

  /** Sends FIN behind what was written, and forgets what still comes. */
  leave(): void {
    this.#isLeaving = true;
    this.#stream.end();
  }

  /** Closes as a program does that ends: FIN, or RST where something came that wasn't read. */
  drop(): void {
    this.#isLeaving = true;
    this.#socket.destroy();
  }

  /** Aborts with RST. */
  reset(): void {
    this.#isLeaving = true;
    this.#socket.resetAndDestroy();
  }
}
