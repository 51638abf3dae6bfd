import type { Accept, Connection, ConnectOptions, Runtime, TlsTrust } from "../../runtime/types.ts";
import { WebSocketConnector } from "../../runtime/websocket/layer.ts";
import type { Dialect } from "../dialects/dialect.ts";

/** A server's port, and how it is spoken to there. */
export interface Port {
  readonly port: number;
  /** The certificates to accept; `null` for a server without TLS. */
  readonly tls: TlsTrust | null;
}

/** The options that connect to a server at one of its addresses. `timeoutMs` is in milliseconds. */
export function endpoint(hostname: string, { port, tls }: Port, timeoutMs: number): ConnectOptions {
  const to = { transport: "tcp", hostname, port, timeoutMs } as const;
  return tls === null ? to : { ...to, tls };
}

/** Connects to servers, by WebSocket where the dialect goes over one. */
export class Dialler {
  readonly #by: Pick<Runtime, "connect"> | WebSocketConnector;

  constructor(runtime: Runtime, { isOverWebSocket }: Pick<Dialect, "isOverWebSocket">) {
    this.#by = isOverWebSocket ? new WebSocketConnector(runtime) : runtime;
  }

  /**
   * Connects, and gives the connection its owner.
   *
   * @throws {TransportError} (rejects) if the connection fails; then `accept` wasn't called.
   */
  connect(to: ConnectOptions, accept: Accept): Promise<Connection> {
    return this.#by.connect(to, accept);
  }
}
