/**
 * The runtime contract on `Bun.listen` and `Bun.connect`.
 *
 * @module
 */

import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import process from "node:process";
import { untilQueueIsEmpty } from "../accept_queue.ts";
import { Attempt } from "./connect_attempt.ts";
import type { BunConnection } from "./connection.ts";
import { begin, descriptorsExhausted, events, type Handler, secureEvents } from "./sockets.ts";
import { claimPort } from "../port_claim.ts";
import { tryHandshake } from "./tls_trial.ts";
import { tryIdentity } from "../tls/identity.ts";
import { TLS_SUITES } from "./tls_suites.ts";
import { addressText, checkPort, transportError } from "../transport_error.ts";
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
} from "../types.ts";

/**
 * Milliseconds that an accepted connection may be idle before the kernel asks whether the peer is still
 * there. Bun then makes it ask ten times, a second apart.
 */
const keepAliveMs = 60_000;

/** Sockets of this process, which must run on Bun 1.4.5 or later. */
export function bunRuntime(): Runtime {
  return new BunRuntime();
}

class BunRuntime implements Runtime {
  readonly name = "bun";
  readonly version: string = Bun.version;
  /** Bun's loop sees new I/O on every turn; at some 17 us a write, 256 of them take 5 ms. */
  readonly writesPerTurn = 256;
  #residentBytes = 0;

  get residentBytes(): number {
    try {
      this.#residentBytes = process.memoryUsage.rss();
    } catch {
      // The look needs a descriptor, and there may be none.
    }
    return this.#residentBytes;
  }

  giveBack(): void {
    Bun.gc(true);
  }

  soon(task: () => void): void {
    queueMicrotask(task);
  }

  nextTurn(task: () => void): void {
    setImmediate(task);
  }

  afterTurn(_isBusy: () => boolean, task: () => void): void {
    setImmediate(task);
  }

  async listen(options: ListenOptions, accept: Accept): Promise<Listener> {
    checkPort(options);
    const count = { accepted: 0 };
    const socket: Handler = {
      ...events,
      ...(options.tls === undefined ? {} : secureEvents),
      open(socket) {
        count.accepted++;
        if (options.transport === "tcp") socket.setKeepAlive(true, keepAliveMs);
        begin(socket, accept, options.tls === undefined ? "plain" : "handshaking");
      },
    };
    const what = `cannot listen on ${addressText(options)}`;
    if (options.tls !== undefined) await this.tryIdentity(options.tls, what);
    const found = await withAddress(options, what);
    return new BunListener(await listenOn(found, socket), found, socket, count);
  }

  async tryIdentity(identity: TlsIdentity, what: string): Promise<void> {
    await tryIdentity(identity, what, tryHandshake);
  }

  // deno-lint-ignore require-await -- so that a failure is a rejection
  async connect(options: ConnectOptions, accept: Accept): Promise<Connection> {
    checkPort(options);
    return new Promise((resolve, reject) => {
      new Attempt(options, accept, resolve, reject).begin();
    });
  }
}

/**
 * Replaces a name by its address. Bun would look the name up for each of its sockets, whenever it makes
 * them, and do nothing else until the answer is there.
 */
async function withAddress(options: ListenOptions, what: string): Promise<ListenOptions> {
  if (options.transport === "unix" || isIP(options.hostname) !== 0) return options;
  try {
    return { ...options, hostname: (await lookup(options.hostname)).address };
  } catch (error) {
    const code = descriptorsExhausted() ? "descriptors_exhausted" : "host_not_found";
    throw transportError(what, error, code);
  }
}

type TcpListenOptions = Extract<ListenOptions, { readonly transport: "tcp" }>;
type BunSocketListener =
  | Bun.TCPSocketListener<BunConnection>
  | Bun.UnixSocketListener<BunConnection>;

async function listenOn(
  options: ListenOptions,
  socket: Handler,
): Promise<readonly BunSocketListener[]> {
  const what = `cannot listen on ${addressText(options)}`;
  try {
    return options.transport === "unix"
      ? [Bun.listen({ unix: options.path, allowHalfOpen: true, socket: socket as never })]
      : await listenTcp(options, socket, what);
  } catch (error) {
    throw error instanceof TransportError ? error : transportError(what, error);
  }
}

/**
 * Bun lets 512 connections wait to be accepted, whatever one asks for; in a storm of them the kernel
 * drops more, and each of those tries again only after a second. Where the kernel spreads connections
 * over the sockets that share a port, this many sockets together let 4,096 wait.
 */
const socketsPerPort = 8;

async function listenTcp(
  options: TcpListenOptions,
  socket: Handler,
  what: string,
): Promise<Bun.TCPSocketListener<BunConnection>[]> {
  const { hostname, port, reusePort, tls, descriptor } = options;
  if (descriptor !== undefined) return [takeOver(descriptor, options, socket)];
  const listenOn = (port: number, isShared: boolean) =>
    Bun.listen<BunConnection>(
      {
        hostname,
        port,
        // Honoured, but not among the types of `listen`.
        reusePort: isShared,
        allowHalfOpen: true,
        socket: socket as never,
        ...(tls === undefined
          ? {}
          : { tls: { cert: tls.cert, key: tls.key, ciphers: TLS_SUITES } }),
      } as Bun.TCPSocketListenOptions<BunConnection>,
    );
  const count = process.platform === "linux" ? socketsPerPort : 1;
  // A listener with an identity shares the port with those that will replace it.
  if (count === 1 && reusePort === undefined && tls === undefined) return [listenOn(port, false)];
  const listenOnAll = () => {
    const listeners = [listenOn(port, true)];
    try {
      while (listeners.length < count) listeners.push(listenOn(listeners[0]!.port, true));
      return listeners;
    } catch (error) {
      for (const listener of listeners) listener.stop();
      throw error;
    }
  };
  if (reusePort === "join") return listenOnAll();
  return await claimPort({ port, what }, holdName, () => {
    // This fails if any socket listens there, sharing or not. A port that the system chooses is free.
    if (port !== 0) listenOn(port, false).stop();
    return listenOnAll();
  });
}

/** Takes over a listening socket that this process has inherited. */
function takeOver(
  descriptor: number,
  { tls }: TcpListenOptions,
  socket: Handler,
): Bun.TCPSocketListener<BunConnection> {
  const what = `cannot listen on the socket ${descriptor} that was passed`;
  // Another certificate takes other sockets, which only the one who passed this one could make.
  if (tls !== undefined) throw new TransportError("unsupported", `${what}: not with TLS`);
  try {
    // Honoured, but not among the types of `listen`.
    return Bun.listen<BunConnection>(
      { fd: descriptor, allowHalfOpen: true, socket: socket as never } as never,
    ) as Bun.TCPSocketListener<BunConnection>;
  } catch (error) {
    throw transportError(what, error);
  }
}

/** The address of a socket that was taken over: Bun's listener doesn't say it. */
function addressOf(listener: BunSocketListener): { hostname: string; port: number } {
  const name: { address?: string; port?: number } = {};
  // Not among its types.
  (listener as unknown as { getsockname(name: object): void }).getsockname(name);
  return { hostname: name.address ?? "", port: name.port ?? 0 };
}

function holdName(path: string): () => void {
  const listener = Bun.listen({ unix: path, socket: { data() {} } });
  return () => listener.stop();
}

class BunListener implements Listener {
  readonly address: Address;
  readonly #options: ListenOptions;
  readonly #socket: Handler;
  /** The number of accepted connections. */
  readonly #count: { readonly accepted: number };
  /** The listeners, all on one address. */
  #listeners: readonly BunSocketListener[];
  #isClosed = false;

  constructor(
    listeners: readonly BunSocketListener[],
    options: ListenOptions,
    socket: Handler,
    count: { readonly accepted: number },
  ) {
    this.#count = count;
    this.#listeners = listeners;
    this.#options = options;
    this.#socket = socket;
    this.address = options.transport === "unix" ? { transport: "unix", path: options.path } : {
      transport: "tcp",
      ...(options.descriptor === undefined
        ? {
          hostname: options.hostname,
          port: (listeners[0] as Bun.TCPSocketListener<BunConnection>).port,
        }
        : addressOf(listeners[0]!)),
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#stop(this.#listeners);
  }

  async renew(tls: TlsIdentity): Promise<void> {
    if (this.#options.tls === undefined) {
      throw new TypeError("a listener without TLS has no identity to renew");
    }
    await tryIdentity(tls, `cannot listen on ${addressText(this.address)}`, tryHandshake);
    if (this.#isClosed) return;
    const options = { ...this.#options, ...this.address, reusePort: "join", tls } as ListenOptions;
    const old = this.#listeners;
    // The old and the new listeners share the port for a moment, so that no client is refused.
    this.#listeners = await listenOn(options, this.#socket);
    await this.#stop(old);
  }

  async #stop(listeners: readonly BunSocketListener[]): Promise<void> {
    await untilQueueIsEmpty(() => this.#count.accepted);
    for (const listener of listeners) listener.stop();
  }
}
