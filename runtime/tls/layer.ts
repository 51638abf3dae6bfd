/**
 * Puts TLS upon connections, on either side.
 *
 * @module
 */

import { createSecureContext, type SecureContext } from "node:tls";
import { TlsConnection } from "./connection.ts";
import { transportError } from "../transport_error.ts";
import {
  type Accept,
  type Connection,
  type TlsIdentity,
  type TlsTrust,
  TransportError,
} from "../types.ts";

/** Speaks TLS with the connections that a listener accepts. */
export class TlsAcceptor {
  #context: SecureContext;
  /** Hands the listener's connections on with TLS upon them. */
  readonly accept: Accept;

  /** @param identity An identity that was tried. */
  constructor(identity: TlsIdentity, accept: Accept) {
    this.#context = createSecureContext({ cert: identity.cert, key: identity.key });
    this.accept = (plain) => {
      const connection = TlsConnection.accepted(plain, this.#context);
      connection.start(accept(connection));
      return connection.below;
    };
  }

  /** See `Listener.renew`; the identity was tried. */
  renew(identity: TlsIdentity): void {
    this.#context = createSecureContext({ cert: identity.cert, key: identity.key });
  }
}

/** The options of a TLS handshake, and its timeout. */
export interface TlsAttempt {
  readonly trust: TlsTrust;
  readonly timeoutMs: number | undefined;
  /** The beginning of error messages. */
  readonly what: string;
}

/**
 * Completes the handshake upon an outgoing connection, then gives it its owner.
 *
 * @param hand Gives the connection beneath its owner.
 * @throws {TransportError} (rejects) with `handshake_failed` or `timed_out`.
 */
export async function connectTls(
  hand: (below: Accept) => void,
  { trust, timeoutMs, what }: TlsAttempt,
  accept: Accept,
): Promise<Connection> {
  let connection!: TlsConnection;
  hand((plain) => {
    connection = TlsConnection.connected(plain, trust);
    return connection.below;
  });
  let isLate = false;
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => {
    isLate = true;
    connection.destroy();
  }, timeoutMs);
  try {
    await connection.secured();
  } catch (error) {
    if (isLate) throw new TransportError("timed_out", `${what}: timed out`);
    const { cause } = error as Error;
    throw transportError(what, cause, "handshake_failed");
  } finally {
    clearTimeout(timer);
  }
  try {
    connection.start(accept(connection));
  } catch (error) {
    connection.destroy();
    throw error;
  }
  return connection;
}
