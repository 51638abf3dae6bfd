/**
 * A client's end of a connection that can do what a well-behaved one never does: come from any
 * loopback address, abort, stop reading. It is made of `node:net`, which can on both runtimes.
 *
 * @module
 */

import { connect, type Socket } from "node:net";

/** Where the server is. */
export interface Target {
  /** An IP address. */
  readonly hostname: string;
  readonly port: number;
}

/**
 * How it ended: by the server's FIN or RST, because there was no connection in the first place, or
 * because this side left.
 */
export type PeerEnd = "fin" | "reset" | "refused" | "left";

/** What a peer tells its owner. */
export interface PeerEvents {
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
  #isConnected = false;
  #isLeaving = false;
  #end: PeerEnd | undefined;
  #localPort = 0;

  /**
   * Begins to connect.
   *
   * @param localAddress The loopback address to come from; the system's choice without it.
   */
  constructor(target: Target, events: PeerEvents, localAddress?: string) {
    const { hostname: host, port } = target;
    const from = localAddress === undefined ? {} : { localAddress };
    this.#socket = connect({ host, port, ...from, allowHalfOpen: true, noDelay: true });
    this.#socket.on("connect", () => {
      this.#isConnected = true;
      this.#localPort = this.#socket.localPort ?? 0;
      if (!this.#isLeaving) events.onConnect?.();
    });
    this.#socket.on("data", (chunk: Uint8Array) => {
      if (!this.#isLeaving) events.onData?.(chunk);
    });
    this.#socket.on("drain", () => events.onDrain?.());
    this.#socket.on("end", () => {
      this.#end ??= this.#isLeaving ? "left" : "fin";
      this.#socket.end();
    });
    this.#socket.on("error", () => {
      this.#end ??= this.#isLeaving ? "left" : this.#isConnected ? "reset" : "refused";
    });
    this.#socket.on("close", () => {
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
    return this.#socket.write(bytes, (error) => {
      if (!error) onSent?.();
    });
  }

  /** Stops reading, so that the server's writes stall when the kernel's buffers are full. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Sends FIN behind what was written, and forgets what still comes. */
  leave(): void {
    this.#isLeaving = true;
    this.#socket.end();
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
