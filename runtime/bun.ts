/**
 * The runtime contract on `Bun.listen` and `Bun.connect`.
 *
 * @module
 */

import { closeSync, openSync } from "node:fs";
import { isIP } from "node:net";
import process from "node:process";
import { BunConnection } from "./bun_connection.ts";
import { addressText, checkPort, transportError, transportErrorCode } from "./transport_error.ts";
import {
  type Accept,
  type Address,
  type Connection,
  type ConnectOptions,
  type Listener,
  type ListenOptions,
  type Runtime,
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
      open(socket) {
        begin(socket, accept);
      },
    };
    try {
      return new BunListener(
        options.transport === "unix"
          ? [Bun.listen({ unix: options.path, allowHalfOpen: true, socket: socket as never })]
          : listenTcp(options, socket),
        options,
      );
    } catch (error) {
      let code = transportErrorCode(error);
      // What Bun says nothing about is a failed look-up, where there was one to fail.
      if (code === "other" && options.transport === "tcp" && isIP(options.hostname) === 0) {
        code = descriptorsExhausted() ? "descriptors_exhausted" : "host_not_found";
      }
      throw transportError(`cannot listen on ${addressText(options)}`, error, code);
    }
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
  socket: Bun.SocketHandler<BunConnection, "uint8array">,
): Bun.TCPSocketListener<BunConnection>[] {
  const { hostname, reusePort = false } = options;
  const listenOn = (port: number, isShared: boolean) =>
    Bun.listen<BunConnection>(
      {
        hostname,
        port,
        // Honoured, but not among the types of `listen`.
        reusePort: isShared,
        allowHalfOpen: true,
        socket: socket as never,
      } as Bun.TCPSocketListenOptions<BunConnection>,
    );
  for (let choice = 1;; choice++) {
    // The first one finds out whether the port is to be had, and which it is.
    const first = listenOn(options.port, reusePort);
    if (process.platform !== "linux") return [first];
    const listeners = reusePort ? [first] : [];
    if (!reusePort) first.stop();
    try {
      while (listeners.length < socketsPerPort) listeners.push(listenOn(first.port, true));
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
  /** All on one address. */
  readonly #listeners: readonly BunSocketListener[];

  constructor(listeners: readonly BunSocketListener[], options: ListenOptions) {
    this.#listeners = listeners;
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

function begin(socket: Bun.Socket<BunConnection>, accept: Accept): BunConnection {
  const connection = new BunConnection(socket);
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
      this.#timer = setTimeout(() => this.#fail(undefined, "timed_out"), options.timeoutMs);
    }
    const socket = {
      ...events,
      open: (socket: Bun.Socket<BunConnection>) => this.#open(socket),
    } as never;
    try {
      const connecting = options.transport === "unix"
        ? Bun.connect<BunConnection>({ unix: options.path, allowHalfOpen: true, socket })
        : Bun.connect<BunConnection>({
          hostname: options.hostname,
          port: options.port,
          allowHalfOpen: true,
          socket,
        });
      connecting.catch((error) => this.#fail(error));
    } catch (error) {
      this.#fail(error);
    }
  }

  #open(socket: Bun.Socket<BunConnection>): void {
    if (this.#over) {
      const late = new BunConnection(socket);
      socket.data = late;
      late.abandon();
      return;
    }
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
