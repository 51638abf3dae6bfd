/**
 * A client's end of a connection that can do what a well-behaved one never does: connect from any
 * loopback address, abort, or stop reading. It uses `node:net`, which allows this on both runtimes.
 *
 * @module
 */

import { connect, type Socket } from "node:net";
import process from "node:process";
import type { TlsTrust } from "../../../runtime/types.ts";
import { tlsOver } from "./tls_pipe.ts";

/** The server to connect to. */
export interface PeerTarget {
  /** An IP address. */
  readonly hostname: string;
  readonly port: number;
  /** The ports of all members of a cluster, any of which may take the client; only `port` without it. */
  readonly ports?: readonly number[];
  /** The certificates to accept with TLS; plain TCP without it. */
  readonly tls?: TlsTrust;
}

/**
 * The end of a connection: by the server's FIN or RST, because there was no connection at all, or because
 * this side left.
 */
export type PeerEnd = "fin" | "reset" | "refused" | "left";

/**
 * True if connections to a server may come from any address of 127.0.0.0/8: the server is on this
 * machine, and the system has all those addresses.
 */
export function hasLoopbackAddresses({ hostname }: PeerTarget): boolean {
  return process.platform === "linux" && hostname.startsWith("127.");
}

/** The events of a peer. */
export interface PeerEvents {
  /** The peer may write; with TLS, the handshake is done. */
  onConnect?(): void;
  /** Bytes arrived. The receiver may keep the chunk. */
  onData?(chunk: Uint8Array): void;
  /** The kernel has taken everything that was written. */
  onDrain?(): void;
  /** The connection is over. Comes exactly once, as the last event. */
  onEnd?(how: PeerEnd): void;
}

/** One connection. It answers the server's FIN with one of its own. */
export class Peer {
  readonly #socket: Socket;
  /** The stream of the protocol's bytes: the socket itself, or TLS over it. */
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
   * @param localAddress The loopback address to connect from; the system's choice without it.
   */
  constructor(target: PeerTarget, events: PeerEvents, localAddress?: string) {
    const { hostname: host, tls } = target;
    const port = portOf(target);
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

  /** The local port; 0 before it is connected. */
  get localPort(): number {
    return this.#localPort;
  }

  /**
   * Sends bytes, or text as UTF-8.
   *
   * @param onSent Called when the kernel has taken all of it.
   * @returns true if more may be written; if false, wait for `onDrain`.
   */
  write(bytes: Uint8Array | string, onSent?: () => void): boolean {
    return this.#stream.write(bytes, (error) => {
      if (!error) onSent?.();
    });
  }

  /**
   * Stops reading, so that the server's writes stall when the kernel's buffers are full. With TLS, from
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

  /** Sends FIN after everything that was written, and ignores what still arrives. */
  leave(): void {
    this.#isLeaving = true;
    this.#stream.end();
  }

  /** Closes like a program that ends: by FIN, or by RST if unread bytes arrived. */
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

/** As a load balancer chooses. */
function portOf({ port, ports = [port] }: PeerTarget): number {
  return ports[Math.floor(Math.random() * ports.length)]!;
}
