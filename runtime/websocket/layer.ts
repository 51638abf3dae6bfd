/**
 * Puts WebSocket upon connections, on either side.
 *
 * @module
 */

import { type Connection, type ConnectOptions, type Runtime, TransportError } from "../types.ts";
import type { Accept, ConnectionHandler } from "../types.ts";
import { addressText } from "../transport_error.ts";
import { ClientHandshake } from "./client_handshake.ts";
import { WebSocketConnection } from "./connection.ts";
import type { WebSocketHandler, WebSocketSide } from "./sides.ts";
import { FrameReader, SCRATCH_BYTES } from "./frame_reader.ts";
import type { OriginRules } from "./origins.ts";
import { RequestHandshake } from "./request_handshake.ts";

/** Lends readers, so that a connection between messages has none. */
class Readers {
  readonly #isFromClient: boolean;
  readonly #scratch = new Uint8Array(SCRATCH_BYTES);
  #spare: FrameReader | undefined;

  constructor(isFromClient: boolean) {
    this.#isFromClient = isFromClient;
  }

  borrow(): FrameReader {
    const reader = this.#spare ?? new FrameReader(this.#isFromClient, this.#scratch);
    this.#spare = undefined;
    return reader;
  }

  giveBack(reader: FrameReader): void {
    this.#spare = reader;
  }
}

/** One side's part of all its connections. */
class Side implements WebSocketSide {
  readonly isClient: boolean;
  readonly #readers: Readers;

  constructor(isClient: boolean) {
    this.isClient = isClient;
    this.#readers = new Readers(!isClient);
  }

  borrowReader(): FrameReader {
    return this.#readers.borrow();
  }

  giveReaderBack(reader: FrameReader): void {
    this.#readers.giveBack(reader);
  }
}

/** Gives a WebSocket its owner, whose first call is `onSecure`, after the handshake. */
export type AcceptWebSocket = (connection: WebSocketConnection) => WebSocketHandler;

/**
 * Speaks WebSocket with the connections that a listener accepts.
 *
 * @returns What the listener hands its connections to.
 */
export function acceptWebSockets(origins: OriginRules, accept: AcceptWebSocket): Accept {
  const side = new Side(false);
  return (plain): ConnectionHandler => {
    const connection = new WebSocketConnection(plain, side, new RequestHandshake(origins));
    connection.start(accept(connection));
    return connection;
  };
}

/** Connects to WebSocket servers. */
export class WebSocketConnector {
  readonly #runtime: Runtime;
  readonly #side = new Side(true);

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /**
   * Connects, and gives the connection its owner when the handshake is done.
   *
   * @throws {TransportError} (rejects) if the connection or the handshake fails, or takes too long; then
   * `accept` wasn't called.
   */
  async connect(options: ConnectOptions, accept: AcceptWebSocket): Promise<Connection> {
    const startMs = performance.now();
    let connection!: WebSocketConnection;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // What happens later may be seen before it's waited for.
    promise.catch(() => {});
    const handshake = new ClientHandshake(hostOf(options));
    await this.#runtime.connect(options, (plain) => {
      connection = new WebSocketConnection(plain, this.#side, handshake);
      connection.start({
        onSecure: () => {
          // Before what came in the same chunk is read.
          try {
            connection.handTo(accept(connection));
            resolve();
          } catch (error) {
            connection.destroy();
            reject(error);
          }
        },
        onData() {},
        onDrain() {},
        onEnd() {},
        onClose: (_why, cause) => reject(cause ?? new TransportError("timed_out", timedOut)),
      });
      return connection;
    });
    const { timeoutMs } = options;
    const left = timeoutMs && Math.max(timeoutMs - (performance.now() - startMs), 0);
    const timer = left === undefined ? undefined : setTimeout(() => connection.destroy(), left);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
    }
    return connection;
  }
}

/** The name for the handshake: that of the certificate, if there is one. */
function hostOf(options: ConnectOptions): string {
  if (options.transport === "unix") return "localhost";
  const { hostname, port, tls } = options;
  return addressText({ transport: "tcp", hostname: tls?.serverName ?? hostname, port });
}

const timedOut = "the WebSocket handshake timed out";
