/**
 * Connects with Bun.
 *
 * @module
 */

import { BunConnection } from "./connection.ts";
import { begin, descriptorsExhausted, events, type Handler } from "./sockets.ts";
import { TLS_SUITES } from "./tls_suites.ts";
import { addressText, transportError, transportErrorCode } from "../transport_error.ts";
import { type Accept, type Connection, type ConnectOptions, TransportError } from "../types.ts";

/** One attempt to connect, with a timeout, which Bun doesn't have. */
export class Attempt {
  readonly #options: ConnectOptions;
  readonly #accept: Accept;
  readonly #resolve: (connection: Connection) => void;
  readonly #reject: (error: unknown) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Its handshake is under way. */
  #socket: Bun.Socket<BunConnection> | undefined;
  #over = false;

  constructor(
    options: ConnectOptions,
    accept: Accept,
    resolve: (connection: Connection) => void,
    reject: (error: unknown) => void,
  ) {
    this.#options = options;
    this.#accept = accept;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  begin(): void {
    const options = this.#options;
    if (options.timeoutMs !== undefined) {
      this.#timer = setTimeout(() => {
        this.#fail(undefined, "timed_out");
        if (this.#socket !== undefined) this.#drop(this.#socket);
      }, options.timeoutMs);
    }
    const { tls } = options;
    const socket = {
      ...events,
      ...(tls === undefined
        ? { open: (socket: Bun.Socket<BunConnection>) => this.#open(socket) }
        : this.#secureEvents()),
    } as never;
    try {
      const connecting = options.transport === "unix"
        ? Bun.connect<BunConnection>({ unix: options.path, allowHalfOpen: true, socket })
        : Bun.connect<BunConnection>({
          hostname: options.hostname,
          port: options.port,
          allowHalfOpen: true,
          socket,
          ...(tls === undefined ? {} : {
            tls: {
              serverName: tls.serverName,
              rejectUnauthorized: true,
              ciphers: TLS_SUITES,
              ...(tls.ca === undefined ? {} : { ca: tls.ca }),
            },
          }),
        });
      connecting.catch((error) => this.#fail(error));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** With TLS there is a connection only after the handshake. */
  #secureEvents(): Partial<Handler> {
    return {
      open: (socket) => {
        this.#socket = socket;
        if (this.#over) this.#drop(socket);
      },
      handshake: (socket, isSecure, error) => {
        if (isSecure && socket.authorized) return this.#open(socket);
        this.#drop(socket);
        this.#fail(error, "handshake_failed");
      },
      drain: (socket) => socket.data?.onSocketDrain(),
      end: (socket) => socket.data?.onSocketEnd(),
      close: (socket, error) => {
        if (socket.data !== undefined) socket.data.onSocketClose(error as Error | undefined);
        else this.#fail(error ?? new Error("the peer closed the connection"), "handshake_failed");
      },
    };
  }

  #drop(socket: Bun.Socket<BunConnection>): void {
    const dropped = new BunConnection(socket);
    socket.data = dropped;
    dropped.abandon();
  }

  #open(socket: Bun.Socket<BunConnection>): void {
    if (this.#over) return this.#drop(socket);
    this.#over = true;
    clearTimeout(this.#timer);
    try {
      this.#resolve(
        begin(socket, this.#accept, this.#options.tls === undefined ? "plain" : "secure"),
      );
    } catch (error) {
      this.#reject(error);
    }
  }

  #fail(cause: unknown, code = transportErrorCode(cause)): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    // Bun reports a lack of descriptors as a refusal.
    if (code === "connection_refused" && descriptorsExhausted()) code = "descriptors_exhausted";
    const what = `cannot connect to ${addressText(this.#options)}`;
    this.#reject(
      cause === undefined
        ? new TransportError(code, `${what}: timed out`)
        : transportError(what, cause, code),
    );
  }
}
