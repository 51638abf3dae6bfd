/**
 * A peer that isn't made of the runtime under test, and that can do what a `Connection` can't:
 * abort with RST, and read on after its own FIN.
 *
 * @module
 */

import { connect, type Socket } from "node:net";
import type { Address } from "../../runtime/types.ts";
import { join } from "./bytes.ts";
import { until } from "./until.ts";

/** The far end of a connection, as a test holds it. */
export interface RawPeer {
  /** Everything that arrived. */
  readonly received: Uint8Array;
  /** FIN arrived. */
  readonly ended: boolean;
  /** RST arrived, or another failure. */
  readonly failed: boolean;
  send(bytes: Uint8Array): void;
  /** Sends FIN, and reads on. */
  end(): void;
  /** Aborts with RST. */
  reset(): void;
  /** Stops reading, so that the other side's sending stalls. */
  stall(): void;
  /** Reads again. */
  flow(): void;
}

/** A {@linkcode RawPeer} on the system's sockets. */
export async function dialRawPeer(address: Address): Promise<RawPeer> {
  const peer = new SocketPeer(address);
  await until("the raw peer is connected", () => peer.connected);
  return peer;
}

class SocketPeer implements RawPeer {
  readonly #socket: Socket;
  readonly #chunks: Uint8Array[] = [];
  connected = false;
  ended = false;
  failed = false;

  constructor(address: Address) {
    this.#socket = connect({
      ...(address.transport === "unix"
        ? { path: address.path }
        : { host: address.hostname, port: address.port }),
      allowHalfOpen: true,
      noDelay: true,
    });
    this.#socket.on("connect", () => this.connected = true);
    this.#socket.on("data", (chunk: Uint8Array) => this.#chunks.push(chunk));
    this.#socket.on("end", () => this.ended = true);
    this.#socket.on("error", () => this.failed = true);
  }

  get received(): Uint8Array {
    return join(this.#chunks);
  }

  send(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  end(): void {
    this.#socket.end();
  }

  reset(): void {
    this.#socket.resetAndDestroy();
  }

  stall(): void {
    this.#socket.pause();
  }

  flow(): void {
    this.#socket.resume();
  }
}
