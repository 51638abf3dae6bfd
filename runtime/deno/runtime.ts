/**
 * The runtime contract on `Deno.listen` and `Deno.connect`.
 *
 * @module
 */

import { DenoConnection } from "./connection.ts";
import process from "node:process";
import { collectGarbage } from "./garbage.ts";
import { DenoReads } from "./reads.ts";
import { DenoTurns } from "./turns.ts";
import { untilQueueIsEmpty } from "../accept_queue.ts";
import { claimPort } from "../port_claim.ts";
import { tryIdentity } from "../tls/identity.ts";
import { connectTls, TlsAcceptor } from "../tls/layer.ts";
import { tryHandshake } from "../tls/trial.ts";
import {
  addressText,
  checkPort,
  plainIp,
  transportError,
  transportErrorCode,
} from "../transport_error.ts";
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

/** Connections that may wait to be accepted. Linux caps it at `net.core.somaxconn`, 4096 by default. */
const tcpBacklog = 4096;

/**
 * Milliseconds to wait after an accept that failed, for example for lack of descriptors. It would fail
 * again at once, and other connections need time to close theirs.
 */
const acceptPauseMs = 100;

/**
 * The most accepts before the loop turns; they take some 1 ms. While peers are in the queue, an accept is
 * answered in microtasks, so thousands that come at once would make all others wait.
 */
const acceptsPerTurn = 16;

/** The same when the listener is about to close, when it must accept faster than clients come. */
const acceptsPerLastTurn = 64;

/** Sockets of this process, which must run on Deno 2.9.6 or later. */
export function denoRuntime(): Runtime {
  return new DenoRuntime();
}

class DenoRuntime implements Runtime {
  readonly name = "deno";
  readonly version: string = Deno.version.deno;
  readonly #turns = new DenoTurns();
  readonly #reads = new DenoReads(this.#turns);
  /**
   * The reads of Unix sockets, separate so that TCP peers don't take buffers that our own processes need.
   */
  readonly #unixReads = new DenoReads(this.#turns);

  /**
   * At some 17 us a write, 64 of them take 1 ms; more would reach the 128 operations after which tokio
   * makes everything wait for another turn. If turns don't look for new I/O, and only about the 61st
   * does, 16 writes a turn keep other connections waiting for less than 20 ms.
   */
  get writesPerTurn(): number {
    return this.#turns.isAttentive ? 64 : 16;
  }

  get residentBytes(): number {
    return process.memoryUsage.rss();
  }

  giveBack(): void {
    this.#reads.buffers.drop();
    this.#unixReads.buffers.drop();
    collectGarbage();
  }

  soon(task: () => void): void {
    queueMicrotask(task);
  }

  nextTurn(task: () => void): void {
    this.#turns.next(task);
  }

  afterTurn(isBusy: () => boolean, task: () => void): void {
    setImmediate(() => isBusy() ? this.#turns.next(task) : task());
  }

  async tryIdentity(identity: TlsIdentity, what: string): Promise<void> {
    await tryIdentity(identity, what, tryHandshake);
  }

  async listen(options: ListenOptions, accept: Accept): Promise<Listener> {
    checkPort(options);
    const what = `cannot listen on ${addressText(options)}`;
    if (options.transport === "tcp" && options.descriptor !== undefined) {
      throw new TransportError("unsupported", `${what}: Deno takes over no socket that is passed`);
    }
    if (options.tls !== undefined) await this.tryIdentity(options.tls, what);
    const tls = options.tls === undefined ? undefined : new TlsAcceptor(options.tls, accept);
    let listener: Deno.Listener;
    try {
      if (options.transport === "unix") {
        listener = Deno.listen({ transport: "unix", path: options.path });
      } else if (options.reusePort === "claim") {
        listener = await claimPort({ port: options.port, what }, holdName, () => {
          // This fails if any socket listens there, sharing or not.
          if (options.port !== 0) listenOn(options, false).close();
          return listenOn(options, true);
        });
      } else listener = listenOn(options, options.reusePort === "join");
    } catch (error) {
      throw error instanceof TransportError ? error : transportError(what, error);
    }
    this.#turns.enter();
    return new DenoListener(listener, options, tls, accept, this.#readsOf(options), this.#turns);
  }

  async connect(options: ConnectOptions, accept: Accept): Promise<Connection> {
    checkPort(options);
    const startMs = performance.now();
    let conn: Deno.Conn;
    try {
      conn = await dial(options);
    } catch (error) {
      throw transportError(`cannot connect to ${addressText(options)}`, error);
    }
    const { tls } = options;
    const reads = this.#readsOf(options);
    if (tls === undefined) return hand(conn, accept, reads);
    const left = options.timeoutMs === undefined
      ? undefined
      : Math.max(options.timeoutMs - (performance.now() - startMs), 0);
    return await connectTls(
      (below) => hand(conn, below, reads),
      { trust: tls, timeoutMs: left, what: `cannot connect to ${addressText(options)}` },
      accept,
    );
  }

  #readsOf({ transport }: ListenOptions | ConnectOptions): DenoReads {
    return transport === "unix" ? this.#unixReads : this.#reads;
  }
}

function listenOn(
  { hostname, port }: { readonly hostname: string; readonly port: number },
  isShared: boolean,
): Deno.Listener {
  return Deno.listen({
    hostname,
    port,
    tcpBacklog,
    // Only set if wanted: without --unstable-net Deno exits at the sight of it.
    ...(isShared ? { reusePort: true } : {}),
  });
}

function holdName(path: string): () => void {
  const listener = Deno.listen({ transport: "unix", path });
  return () => listener.close();
}

async function dial(options: ConnectOptions): Promise<Deno.Conn> {
  if (options.transport === "unix") {
    // Without a timeout: a Unix socket answers at once, if only to say that its queue is full.
    return await Deno.connect({ transport: "unix", path: options.path });
  }
  const { hostname, port, timeoutMs } = options;
  if (timeoutMs === undefined) return withoutDelay(await Deno.connect({ hostname, port }));
  const abort = new AbortController();
  const timer = setTimeout(
    () => abort.abort(new DOMException("the connection took too long", "TimeoutError")),
    timeoutMs,
  );
  try {
    return withoutDelay(await Deno.connect({ hostname, port, signal: abort.signal }));
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Turns Nagle's algorithm off, and keep-alive on where the peer connected to us: Deno can't say when it
 * begins, so that the kernel's settings hold. Later is too late: Deno can't while a write waits.
 */
function withoutDelay(conn: Deno.TcpConn, keepsAlive = false): Deno.TcpConn {
  try {
    conn.setNoDelay(true);
    if (keepsAlive) conn.setKeepAlive(true);
    return conn;
  } catch (error) {
    conn.close();
    throw error;
  }
}

function hand(conn: Deno.Conn, accept: Accept, reads: DenoReads): DenoConnection {
  const { remoteAddr } = conn;
  const ip = remoteAddr.transport === "tcp" ? plainIp(remoteAddr.hostname) : "";
  const connection = new DenoConnection(conn, ip, reads);
  try {
    connection.start(accept(connection));
  } catch (error) {
    connection.abandon();
    throw error;
  }
  return connection;
}

class DenoListener implements Listener {
  readonly address: Address;
  readonly #listener: Deno.Listener;
  readonly #turns: DenoTurns;
  readonly #tls: TlsAcceptor | undefined;
  readonly #done: Promise<void>;
  #closing: Promise<void> | undefined;
  #closed = false;
  /** The number of accepted connections. */
  #accepted = 0;
  /** True while it waits for the next connection. */
  #isAccepting = false;
  #endPause: () => void = () => {};

  constructor(
    listener: Deno.Listener,
    options: ListenOptions,
    tls: TlsAcceptor | undefined,
    accept: Accept,
    reads: DenoReads,
    turns: DenoTurns,
  ) {
    this.#listener = listener;
    this.#tls = tls;
    this.#turns = turns;
    const { addr } = listener;
    this.address = addr.transport === "tcp"
      ? { transport: "tcp", hostname: addr.hostname, port: addr.port }
      : { transport: "unix", path: (addr as Deno.UnixAddr).path };
    this.#done = this.#acceptAll(options, tls?.accept ?? accept, reads);
  }

  async renew(identity: TlsIdentity): Promise<void> {
    if (this.#tls === undefined) throw new TypeError("without TLS there is nothing to renew");
    await tryIdentity(identity, `cannot listen on ${addressText(this.address)}`, tryHandshake);
    this.#tls.renew(identity);
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    await untilQueueIsEmpty(() => this.#isAccepting ? this.#accepted : undefined);
    this.#closed = true;
    this.#endPause();
    this.#listener.close();
    this.#turns.leave();
    // The address is in use until the pending accept has settled.
    await this.#done;
  }

  /** Waits, but no longer than the listener is open. */
  #pause(goesOn: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      this.#endPause = resolve;
      goesOn.then(resolve);
    });
  }

  async #acceptAll(options: ListenOptions, accept: Accept, reads: DenoReads): Promise<void> {
    const what = `cannot accept on ${addressText(this.address)}`;
    for (let count = 1; !this.#closed; count++) {
      if (count % (this.#closing === undefined ? acceptsPerTurn : acceptsPerLastTurn) === 0) {
        await new Promise<void>((resolve) => this.#turns.next(resolve));
      }
      const goesOn = options.beforeAccept?.();
      if (goesOn !== undefined) {
        await this.#pause(goesOn);
        continue;
      }
      let conn: Deno.Conn;
      try {
        this.#isAccepting = true;
        conn = await this.#listener.accept();
        this.#isAccepting = false;
        if (this.address.transport === "tcp") withoutDelay(conn as Deno.TcpConn, true);
      } catch (error) {
        this.#isAccepting = false;
        if (this.#closed) break;
        options.onAcceptError?.(transportError(what, error));
        // An error of a peer that left before it was accepted says nothing about the next one.
        if (transportErrorCode(error) !== "connection_reset") {
          await new Promise((resolve) => setTimeout(resolve, acceptPauseMs));
        }
        continue;
      }
      try {
        this.#accepted++;
        hand(conn, accept, reads);
      } catch (error) {
        // A mistake in `accept` ends this connection, not the loop, and is reported.
        reportError(error);
      }
    }
  }
}
