/**
 * A runtime without sockets, for tests: what happens, and in which order, is what the test says.
 *
 * ```ts
 * const net = new MemoryRuntime({ turns: "manual" });
 * const listener = await net.listen(net.anywhere, accept);
 * const peer = net.dial(listener.address);
 * peer.send("PING\0");
 * net.settle();
 * peer.text; // what the server said
 * ```
 *
 * @module
 */

import {
  type Accept,
  type Address,
  type Connection,
  type ConnectOptions,
  type Listener,
  type ListenOptions,
  type Runtime,
  TransportError,
} from "../../../runtime/types.ts";
import { MemoryConnection, type Network } from "./memory_connection.ts";
import { type DialOptions, MemoryPeer } from "./memory_peer.ts";
import { type End, Pipe } from "./memory_pipe.ts";

/** The behaviour of a runtime in memory. */
export interface MemoryOptions {
  /** See {@linkcode Runtime.writesPerTurn}; 16 unless given. */
  readonly writesPerTurn?: number;
  /** The bytes that fit between a write and the peer's read, each way; 64 KiB by default. */
  readonly bufferBytes?: number;
  /**
   * Whether a write that was taken whole says so at once, as on Bun, or answers `false` and drains
   * in the next turn, as on Deno. At once unless given.
   */
  readonly answers?: "at once" | "late";
  /**
   * `automatic` (unless given) turns by itself whenever something is due; `manual` waits for
   * {@linkcode MemoryRuntime.turn} or {@linkcode MemoryRuntime.settle}.
   */
  readonly turns?: "automatic" | "manual";
}

/** One call of `write` that had something to send. */
export interface WriteRecord {
  /** {@linkcode MemoryPeer.number} of the peer. */
  readonly to: number;
  readonly bytes: number;
  /** {@linkcode MemoryRuntime.turnCount} when it was made. */
  readonly turn: number;
}

/** Turns after which {@linkcode MemoryRuntime.settle} takes it that there will be no end. */
const maxTurns = 1_000_000;

/** So many turns of the process's own loop with nothing due: promises may make more of it due. */
const CALM_LOOKS = 3;

/** A deterministic {@linkcode Runtime} in memory. A turn polls what is due, then runs tasks. */
export class MemoryRuntime implements Runtime, Network {
  readonly name = "memory";
  readonly version = "1.0.0";
  readonly writesPerTurn: number;
  readonly answersLate: boolean;
  /** An address for tests to which any will do. */
  readonly anywhere: ListenOptions = { transport: "tcp", hostname: "127.0.0.1", port: 0 };
  /** The resident bytes that the server sees. */
  residentBytes = 0;
  /** Called when the server gives memory back. */
  onGiveBack: () => void = () => {};
  /** Turns so far. */
  turnCount = 0;
  readonly #bufferBytes: number;
  readonly #isAutomatic: boolean;
  readonly #listeners = new Map<string, Accept>();
  #marked = new Set<End>();
  #tasks: (() => void)[] = [];
  #log: WriteRecord[] | null = null;
  #isAwake = false;
  #nextPort = 40_000;
  #connections = 0;

  constructor(options: MemoryOptions = {}) {
    this.writesPerTurn = options.writesPerTurn ?? 16;
    this.#bufferBytes = options.bufferBytes ?? 64 * 1024;
    this.answersLate = options.answers === "late";
    this.#isAutomatic = options.turns !== "manual";
  }

  giveBack(): void {
    this.onGiveBack();
  }

  /** In the next turn: the code that runs now may be a test, which returns to no loop before it ends. */
  soon(task: () => void): void {
    this.nextTurn(task);
  }

  nextTurn(task: () => void): void {
    this.#tasks.push(task);
    this.#wake();
  }

  afterTurn(_isBusy: () => boolean, task: () => void): void {
    this.nextTurn(task);
  }

  /** It knows nothing of TLS. */
  tryIdentity(): Promise<void> {
    return Promise.resolve();
  }

  // deno-lint-ignore require-await -- so that a failure is a rejection
  async listen(options: ListenOptions, accept: Accept): Promise<Listener> {
    checkPort(options);
    if (options.transport === "tcp" && options.reusePort) {
      throw new TransportError(
        "unsupported",
        `cannot listen on ${keyOf(options)}: no shared ports`,
      );
    }
    const address: Address = options.transport === "unix"
      ? { transport: "unix", path: options.path }
      : {
        transport: "tcp",
        hostname: options.hostname,
        port: options.port === 0 ? this.#nextPort++ : options.port,
      };
    const key = keyOf(address);
    if (this.#listeners.has(key)) {
      throw new TransportError("address_in_use", `cannot listen on ${key}: the address is in use`);
    }
    this.#listeners.set(key, accept);
    return {
      address,
      close: async () => {
        if (this.#listeners.get(key) === accept) this.#listeners.delete(key);
        await Promise.resolve();
      },
      renew: () => Promise.reject(new TypeError("in memory there is no TLS")),
    };
  }

  /** As the contract has it; a timeout never comes, since the answer is there in the next turn. */
  // deno-lint-ignore require-await -- so that a failure is a rejection
  async connect(options: ConnectOptions, accept: Accept): Promise<Connection> {
    checkPort(options);
    return new Promise((resolve, reject) => {
      this.nextTurn(() => {
        try {
          resolve(this.#connect(options, accept));
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  /**
   * Connects a peer, which is accepted before this returns.
   *
   * @throws {TransportError} if no listener is there.
   */
  dial(address: Address, options: DialOptions = {}): MemoryPeer {
    const accept = this.#listenerAt(address);
    const there = new Pipe(this, options.bufferBytes ?? this.#bufferBytes);
    const back = new Pipe(this, this.#bufferBytes);
    const near = this.#connection(this.#caller(address, options.from), back, there);
    const peer = new MemoryPeer(this, near, there, back, options);
    hand(near, accept);
    return peer;
  }

  /** One turn of the loop: what has arrived or drained, then the tasks that were there before. */
  turn(): void {
    this.turnCount++;
    const marked = this.#marked;
    this.#marked = new Set();
    try {
      for (const end of marked) {
        marked.delete(end);
        end.poll();
      }
    } finally {
      for (const end of marked) this.#marked.add(end);
    }
    const tasks = this.#tasks;
    this.#tasks = [];
    let ran = 0;
    try {
      while (ran < tasks.length) tasks[ran++]!();
    } finally {
      this.#tasks.unshift(...tasks.slice(ran));
    }
  }

  /** Turns until nothing is due, and says how many turns that took. */
  settle(): number {
    let turns = 0;
    while (!this.isSettled) {
      if (++turns > maxTurns) throw new Error(`not settled after ${maxTurns} turns`);
      this.turn();
    }
    return turns;
  }

  /** Resolves when it has turned by itself until nothing is due, and what awaits that has run. */
  async settled(): Promise<void> {
    for (let looks = 0; looks < CALM_LOOKS; looks = this.isSettled ? looks + 1 : 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Nothing would happen in a turn. */
  get isSettled(): boolean {
    return this.#marked.size === 0 && this.#tasks.length === 0;
  }

  /** Every write from now on, in order, across all connections: the array grows. */
  watchWrites(): readonly WriteRecord[] {
    return this.#log = [];
  }

  mark(end: End): void {
    this.#marked.add(end);
    this.#wake();
  }

  wrote(connection: MemoryConnection, bytes: number): void {
    this.#log?.push({ to: connection.number, bytes, turn: this.turnCount });
  }

  #wake(): void {
    if (!this.#isAutomatic || this.#isAwake) return;
    this.#isAwake = true;
    setImmediate(() => {
      this.#isAwake = false;
      try {
        this.turn();
      } finally {
        if (!this.isSettled) this.#wake();
      }
    });
  }

  #connect(address: Address, accept: Accept): Connection {
    const nearAccept = this.#listenerAt(address);
    const there = new Pipe(this, this.#bufferBytes);
    const back = new Pipe(this, this.#bufferBytes);
    const near = this.#connection(this.#caller(address), back, there);
    const far = this.#connection(address, there, back);
    hand(near, nearAccept);
    return hand(far, accept);
  }

  #listenerAt(address: Address): Accept {
    const accept = this.#listeners.get(keyOf(address));
    if (accept !== undefined) return accept;
    const what = `cannot connect to ${keyOf(address)}`;
    throw address.transport === "unix"
      ? new TransportError("not_found", `${what}: no such file`)
      : new TransportError("connection_refused", `${what}: the connection was refused`);
  }

  #connection(address: Address, inbox: Pipe, outbox: Pipe): MemoryConnection {
    return new MemoryConnection(this, this.#connections++, address, inbox, outbox);
  }

  /**
   * The address that a connection to an address comes from: the same, with a port that the system
   * chooses.
   */
  #caller(address: Address, from?: string): Address {
    if (address.transport === "unix") return address;
    const hostname = from ?? address.hostname;
    return { ...address, hostname, port: FIRST_PORT + this.#connections % (65_536 - FIRST_PORT) };
  }
}

/** The first port of those that a system chooses from. */
const FIRST_PORT = 32_768;

function hand(connection: MemoryConnection, accept: Accept): MemoryConnection {
  try {
    connection.start(accept(connection));
  } catch (error) {
    connection.abandon();
    throw error;
  }
  return connection;
}

function keyOf(address: Address): string {
  return address.transport === "unix" ? address.path : `${address.hostname}:${address.port}`;
}

function checkPort(address: Address): void {
  if (address.transport === "unix") return;
  const { port } = address;
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new RangeError(`port must be an integer from 0 to 65535, is ${port}`);
  }
}
