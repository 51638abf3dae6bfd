/**
 * A peer that isn't made of the runtime under test, and that can do what a `Connection` can't:
 * abort with RST, and read on after its own FIN.
 *
 * @module
 */

import { connect, type Socket } from "node:net";
import process from "node:process";
import { Duplex } from "node:stream";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import type { Address, TlsTrust } from "../../../runtime/types.ts";
import { join } from "../bytes.ts";
import { until } from "../until.ts";

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
export async function dialRawPeer(address: Address, tls?: TlsTrust): Promise<RawPeer> {
  const peer = new SocketPeer(address, tls);
  await until("the raw peer is connected", () => peer.connected);
  return peer;
}

class SocketPeer implements RawPeer {
  readonly #tcp: Socket;
  /** The same without TLS. */
  readonly #socket: Socket;
  readonly #chunks: Uint8Array[] = [];
  connected = false;
  ended = false;
  failed = false;

  constructor(address: Address, tls?: TlsTrust) {
    this.#tcp = connect({
      ...(address.transport === "unix"
        ? { path: address.path }
        : { host: address.hostname, port: address.port }),
      allowHalfOpen: true,
      noDelay: true,
    });
    if (tls === undefined) {
      this.#socket = this.#tcp;
      this.#socket.on("connect", () => this.connected = true);
    } else {
      const { ca, serverName } = tls;
      this.#tcp.on("error", () => this.failed = true);
      this.#socket = connectTls({
        socket: "deno" in process.versions ? asStream(this.#tcp) : this.#tcp,
        servername: serverName,
        ...(ca === undefined ? {} : { ca }),
        allowHalfOpen: true,
      } as ConnectionOptions);
      this.#socket.on("secureConnect", () => this.connected = true);
    }
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
    this.#socket.end(() => this.#tcp.end());
  }

  reset(): void {
    this.#tcp.resetAndDestroy();
    // Bun has given the descriptor to the socket that speaks TLS.
    if (this.#socket !== this.#tcp) this.#socket.resetAndDestroy();
  }

  stall(): void {
    this.#socket.pause();
    this.#tcp.pause();
  }

  flow(): void {
    this.#socket.resume();
    this.#tcp.resume();
  }
}

/** On Deno, TLS reads the descriptor of a socket even while it is paused; it can't of a mere stream. */
function asStream(socket: Socket): Socket {
  const stream: Duplex = new Duplex({
    allowHalfOpen: true,
    read: () => {},
    write: (chunk: Uint8Array, _encoding, done) => void socket.write(chunk, done),
  });
  socket.on("data", (chunk) => stream.push(chunk));
  socket.on("end", () => stream.push(null));
  return stream as unknown as Socket;
}
