/**
 * The event handlers of Bun's sockets, accepted or connected.
 *
 * @module
 */

import { closeSync, openSync } from "node:fs";
import { BunConnection, type BunLayer } from "./connection.ts";
import { transportErrorCode } from "../transport_error.ts";
import type { Accept } from "../types.ts";

/** The event handlers of a socket. */
export type Handler = Bun.SocketHandler<BunConnection, "uint8array">;

/**
 * The event handlers of all sockets. Each finds its connection in `socket.data`. There is no `error`, so
 * that a mistake in a handler surfaces as an uncaught exception.
 */
export const events = {
  binaryType: "uint8array",
  data(socket, chunk) {
    socket.data.onSocketData(chunk);
  },
  drain(socket) {
    socket.data.onSocketDrain();
  },
  end(socket) {
    socket.data.onSocketEnd();
  },
  close(socket, error) {
    socket.data.onSocketClose(error as Error | undefined);
  },
} satisfies Handler;

/** The further event handlers of an accepted socket that speaks TLS. */
export const secureEvents = {
  handshake(socket, isSecure, error) {
    socket.data.onSocketHandshake(isSecure, error);
  },
} satisfies Handler;

/** Gives an opened socket its connection, and the connection its handler. */
export function begin(
  socket: Bun.Socket<BunConnection>,
  accept: Accept,
  layer: BunLayer,
): BunConnection {
  const connection = new BunConnection(socket, layer);
  socket.data = connection;
  try {
    connection.start(accept(connection));
  } catch (error) {
    connection.abandon();
    throw error;
  }
  return connection;
}

/** True if no descriptors are left, which Bun reports under other names. */
export function descriptorsExhausted(): boolean {
  try {
    closeSync(openSync("/dev/null", "r"));
    return false;
  } catch (error) {
    return transportErrorCode(error) === "descriptors_exhausted";
  }
}
