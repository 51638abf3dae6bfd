/**
 * The runtime contract on `Bun.listen` and `Bun.connect`.
 *
 * @module
 */

import { closeSync, openSync } from "node:fs";
import { isIP } from "node:net";
import process from "node:process";
import { BunConnection } from "./bun_connection.ts";
import {
  addressText,
  checkIdentity,
  checkPort,
  transportError,
  transportErrorCode,
} from "./transport_error.ts";
import {
  type Accept,
  type Address,
  type Connection,
  type ConnectOptions,
  type Listener,
  type ListenOptions,
  type Runtime,
  type TlsIdentity,
  TransportError,
} from "./types.ts";

/** Sockets of this process, which must run on Bun 1.4.5 or later. */
export function bunRuntime(): Runtime {
  return new BunRuntime();
}

class BunRuntime implements Runtime {
  readonly name = "bun";
  readonly version: string = Bun.version;
  /** Bun's loop sees new I/O on every turn; at some 17 us a write, 256 of them take 5 ms. */
  readonly writesPerTurn = 256;

  nextTurn(task: () => void): void {
    setImmediate(task);
  }

  // deno-lint-ignore require-await -- so that a failure is a rejection
  async listen(options: ListenOptions, accept: Accept): Promise<Listener> {
    checkPort(options);
    const socket: Bun.SocketHandler<BunConnection, "uint8array"> = {
      ...events,
      ...(options.tls === undefined ? {} : secureEvents),
      open(socket) {
        begin(socket, accept, options.tls !== undefined);
      },
    };
    return new BunListener(listenOn(options, socket), options, socket);
  }

  // deno-lint-ignore require-await -- so that a failure is a rejection
  async connect(options: ConnectOptions, accept: Accept): Promise<Connection> {
    checkPort(options);
    return new Promise((resolve, reject) => {
      new Attempt(options, accept, resolve, reject).begin();
    });
  }
}

type TcpListenOptions = Extract<ListenOptions, { readonly transport: "tcp" }>;
type BunSocketListener =
  | Bun.TCPSocketListener<BunConnection>
  | Bun.UnixSocketListener<BunConnection>;
type Handler = Bun.SocketHandler<BunConnection, "uint8array">;

function listenOn(options: ListenOptions, socket: Handler): readonly BunSocketListener[] {
  const what = `cannot listen on ${addressText(options)}`;
  if (options.tls !== undefined) checkIdentity(options.tls, what);
  try {
    return options.transport === "unix"
      ? [Bun.listen({ unix: options.path, allowHalfOpen: true, socket: socket as never })]
      : listenTcp(options, socket);
  } catch (error) {
    let code = transportErrorCode(error);
    if (code === "other" && isOfOpenSsl(error)) code = "certificate_unusable";
    // What Bun says nothing about is a failed look-up, where there was one to fail.
    if (code === "other" && options.transport === "tcp" && isIP(options.hostname) === 0) {
      code = descriptorsExhausted() ? "descriptors_exhausted" : "host_not_found";
    }
    throw transportError(what, error, code);
  }
}

function isOfOpenSsl(error: unknown): boolean {
  return String((error as { code?: unknown }).code).startsWith("ERR_OSSL_");
}

/**
 * Bun lets 512 connections wait to be accepted, whatever one asks for; in a storm of them the kernel
 * drops more, and each of those tries again only after a second. Where the kernel spreads connections
 * over the sockets that share a port, this many sockets together let 4,096 wait.
 */
const socketsPerPort = 8;

/** How often a port that the system chose may be somebody else's by the time we share it. */
const maxChoices = 10;

function listenTcp(
  options: TcpListenOptions,
  socket: Handler,
): Bun.TCPSocketListener<BunConnection>[] {
  const { hostname, reusePort = false, tls } = options;
  const listenOn = (port: number, isShared: boolean) =>
    Bun.listen<BunConnection>(
      {
        hostname,
        port,
        // Honoured, but not among the types of `listen`.
        reusePort: isShared,
        allowHalfOpen: true,
        socket: socket as never,
        ...(tls === undefined ? {} : { tls: { cert: tls.cert, key: tls.key } }),
      } as Bun.TCPSocketListenOptions<BunConnection>,
    );
  const count = process.platform === "linux" ? socketsPerPort : 1;
  for (let choice = 1;; choice++) {
    // The first one finds out whether the port is to be had, and which it is.
    const first = listenOn(options.port, reusePort);
    // One that has an identity shares the port with those that will relieve it.
    if (count === 1 && tls === undefined) return [first];
    const listeners = reusePort ? [first] : [];
    if (!reusePort) first.stop();
    try {
      while (listeners.length < count) listeners.push(listenOn(first.port, true));
      return listeners;
    } catch (error) {
      for (const listener of listeners) listener.stop();
      const isTaken = transportErrorCode(error) === "address_in_use";
      if (options.port !== 0 || !isTaken || choice === maxChoices) throw error;
    }
  }
}

class BunListener implements Listener {
  readonly address: Address;
  readonly #options: ListenOptions;
  readonly #socket: Handler;
  /** All on one address. */
  #listeners: readonly BunSocketListener[];

  constructor(listeners: readonly BunSocketListener[], options: ListenOptions, socket: Handler) {
    this.#listeners = listeners;
    this.#options = options;
    this.#socket = socket;
    this.address = options.transport === "unix" ? { transport: "unix", path: options.path } : {
      transport: "tcp",
      hostname: options.hostname,
      port: (listeners[0] as Bun.TCPSocketListener<BunConnection>).port,
    };
  }

  // deno-lint-ignore require-await
  async close(): Promise<void> {
    for (const listener of this.#listeners) listener.stop();
  }

  // deno-lint-ignore require-await -- so that a failure is a rejection
  async renew(tls: TlsIdentity): Promise<void> {
    if (this.#options.tls === undefined) {
      throw new TypeError("a listener without TLS has no identity to renew");
    }
    const options = { ...this.#options, ...this.address, reusePort: true, tls } as ListenOptions;
    const old = this.#listeners;
    // Both share the port while the new ones relieve the old, so that nobody is refused.
    this.#listeners = listenOn(options, this.#socket);
    for (const listener of old) listener.stop();
  }
}

/**
 * What a socket's events do, for all sockets alike: each finds its connection in `socket.data`.
 * There is no `error`, so that a mistake in a handler surfaces as an uncaught exception.
 */
const events = {
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
} satisfies Bun.SocketHandler<BunConnection, "uint8array">;

/** What else an accepted socket's events do where it speaks TLS. */
const secureEvents = {
  handshake(socket, isSecure, error) {
    socket.data.onSocketHandshake(isSecure, error);
  },
} satisfies Bun.SocketHandler<BunConnection, "uint8array">;

function begin(
  socket: Bun.Socket<BunConnection>,
  accept: Accept,
  isHandshaking = false,
): BunConnection {
  const connection = new BunConnection(socket, isHandshaking);
  socket.data = connection;
  try {
    connection.start(accept(connection));
  } catch (error) {
    connection.abandon();
    throw error;
  }
  return connection;
}

/** One try to connect, which ends in time: Bun has no timeout for it. */
class Attempt {
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
      this.#resolve(begin(socket, this.#accept));
    } catch (error) {
      this.#reject(error);
    }
  }

  #fail(cause: unknown, code = transportErrorCode(cause)): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    // Bun calls a failure for want of a descriptor a refusal.
    if (code === "connection_refused" && descriptorsExhausted()) code = "descriptors_exhausted";
    const what = `cannot connect to ${addressText(this.#options)}`;
    this.#reject(
      cause === undefined
        ? new TransportError(code, `${what}: timed out`)
        : transportError(what, cause, code),
    );
  }
}

function descriptorsExhausted(): boolean {
  try {
    closeSync(openSync("/dev/null", "r"));
    return false;
  } catch (error) {
    return transportErrorCode(error) === "descriptors_exhausted";
  }
}
