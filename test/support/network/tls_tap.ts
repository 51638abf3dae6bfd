/**
 * Stands between a client that speaks TLS and its server, and sees and adds to what is on the wire.
 *
 * @module
 */

import { connect, createServer, type Server, type Socket } from "node:net";
import type { Address } from "../../../runtime/types.ts";
import { join } from "../bytes.ts";

/** Passes one connection on. */
export class TlsTap {
  /** The address that the client must connect to. */
  readonly port: number;
  readonly #server: Server;
  readonly #chunks: Uint8Array[] = [];
  #toServer: Socket | undefined;
  /** True if the server is told that the client's connection has ended. */
  passesEnd = true;

  private constructor(server: Server, address: Address) {
    this.#server = server;
    const own = server.address();
    if (address.transport !== "tcp" || own === null || typeof own === "string") {
      throw new TypeError("TLS is for TCP");
    }
    this.port = own.port;
    server.on("connection", (client) => {
      const toServer = connect({ host: address.hostname, port: address.port, allowHalfOpen: true });
      this.#toServer = toServer;
      client.on("error", () => toServer.destroy());
      toServer.on("error", () => client.destroy());
      client.on("data", (chunk: Uint8Array) => toServer.write(chunk));
      client.on("end", () => {
        if (this.passesEnd) toServer.end();
      });
      toServer.on("data", (chunk: Uint8Array) => {
        this.#chunks.push(chunk);
        client.write(chunk);
      });
      toServer.on("end", () => client.end());
    });
  }

  static async before(address: Address): Promise<TlsTap> {
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new TlsTap(server, address);
  }

  /** Sends the server bytes that aren't the client's; resolves when the system has taken them. */
  inject(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => this.#toServer!.write(bytes, () => resolve()));
  }

  /** The types of the records that the server has sent. */
  get recordTypes(): number[] {
    return recordTypesOf(join(this.#chunks));
  }

  close(): void {
    this.#toServer?.destroy();
    this.#server.close();
  }
}

/** The type of a record. */
export const ALERT = 21;
export const HANDSHAKE = 22;
export const APPLICATION_DATA = 23;

/** A record of TLS, or the beginning of one that says it has more bytes. */
export function tlsRecord(type: number, body: Uint8Array, bytes = body.length): Uint8Array {
  return join([Uint8Array.of(type, 3, 3, bytes >> 8, bytes & 255), body]);
}

/** The beginning of a client's first message, which says that it has 60,000 bytes. */
export function hugeHello(bytes: number): Uint8Array {
  const body = new Uint8Array(bytes);
  body.set([1, 0, 0xea, 0x60]);
  return body;
}

/** The types of whole records. */
export function recordTypesOf(bytes: Uint8Array): number[] {
  const types: number[] = [];
  for (let at = 0; at + 5 <= bytes.length;) {
    types.push(bytes[at]!);
    at += 5 + bytes[at + 3]! * 256 + bytes[at + 4]!;
  }
  return types;
}
