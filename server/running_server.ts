/**
 * A server as the program sees it that embeds it: its options, and what it can be asked.
 *
 * @module
 */

import type { Address, Runtime, TlsIdentity } from "../runtime/types.ts";
import type { AccessOptions } from "./access/access.ts";
import type { ServeClusterOptions } from "./cluster_setup.ts";
import type { Counters } from "./counters.ts";
import type { Message, PublishReceipt } from "./embedding/local_publisher.ts";
import type { TopicHooks } from "./embedding/topic_permits.ts";
import type { ServerEvents } from "./events.ts";
import type { Limits } from "./limits.ts";
import type { StopOptions, TopicCounts } from "./server_options.ts";

/** The options of a server's port for WebSockets, which speaks TLS if the other port does. */
export interface ServeWebSocketOptions {
  /** The port, on the same address as the other one; 0, the default, lets the system choose. */
  readonly port?: number;
  /**
   * Pages that may connect: origins such as `https://example.com`, hosts such as `example.com`, or `*` for all.
   * Unless given, pages of the host to which they connect, from any of its ports. Other programs than
   * browsers may connect in any case.
   */
  readonly origins?: readonly string[];
}

/** The options of a server's admin port, which is HTTP: health, metrics, status, and a page. */
export interface ServeAdminOptions {
  /** The address to listen on; `127.0.0.1` unless given. */
  readonly hostname?: string;
  /** The port; 0, the default, lets the system choose. */
  readonly port?: number;
  /**
   * Keys of which a client has to show one. Unless given, everyone who reaches the port may read everything,
   * so give some for an address that other machines reach.
   */
  readonly keys?: readonly string[];
  /** Topics that are counted by name in the metrics, 50 at most; none unless given. */
  readonly metricsTopics?: readonly string[];
}

/** The options of a stop of {@linkcode RunningServer}. */
export interface CloseOptions extends StopOptions {
  /**
   * Milliseconds for which the server goes on as before, while its admin port says that it isn't ready: for
   * load balancers that look only now and then. 0 unless given.
   */
  readonly delayMs?: number;
}

/** The options of {@linkcode serve}. Each has a default. */
export interface ServeOptions {
  /** The address to listen on; `0.0.0.0`, every IPv4 interface, unless given. */
  readonly hostname?: string;
  /** The port; 8081 unless given, 0 lets the system choose. */
  readonly port?: number;
  /**
   * A listening socket that this process has inherited, from a service manager say, to take over in place of a new
   * one. Bun can, with one process and without TLS; elsewhere `serve` rejects.
   */
  readonly descriptor?: number;
  /**
   * A file in which stored messages outlast a graceful stop: {@linkcode RunningServer.close} writes it, and the next
   * `serve` reads and removes it. None unless given.
   */
  readonly historyFile?: string;
  /** The certificate and key with which it speaks TLS only; plain TCP unless given. */
  readonly tls?: TlsIdentity;
  /** Limits that differ from the defaults. */
  readonly limits?: Partial<Limits>;
  /** Rules for publishing and subscribing; every client may do both unless given. */
  readonly access?: AccessOptions;
  /** Receives ended sessions, failed accepts and so on; they are logged unless given. */
  readonly events?: ServerEvents;
  /**
   * The program's say about which client may publish and subscribe to which topic, beside `access`; see
   * {@linkcode TopicHooks}.
   */
  readonly on?: TopicHooks;
  /**
   * The cluster that the server is part of; none unless given. Its events are logged. A message that one machine
   * accepts reaches the clients of all.
   */
  readonly cluster?: ServeClusterOptions;
  /** The port for WebSockets; there is none unless given. */
  readonly webSocket?: ServeWebSocketOptions;
  /** The admin port; there is none unless given. */
  readonly admin?: ServeAdminOptions;
  /**
   * The number of processes that serve together, on Linux; 1, the default, is this process itself. This
   * process then starts them and leads them, and speaks with no client. They log by themselves, warnings and
   * errors to standard error, and of `events` only `onHookFailure` and `onGaveUp` are called. On Deno this
   * takes the permissions to run `deno` and to read `NODE_V8_COVERAGE`. A program that is bundled into one
   * file can't start any.
   */
  readonly workers?: number;
  /** The runtime to serve on; unless given, the one that runs this program. */
  readonly runtime?: Runtime;
}

/** A server that accepts connections. */
export interface RunningServer {
  /** The address on which it listens. */
  readonly address: Address;
  /** The address on which it listens for WebSockets; `undefined` if it doesn't. */
  readonly webSocketAddress: Address | undefined;
  /** The runtime on which it runs. */
  readonly runtime: Runtime;
  /** The limits in force. */
  readonly limits: Limits;
  /** The address of the admin port, such as `http://127.0.0.1:8082`; `undefined` without one. */
  readonly adminUrl: string | undefined;
  /**
   * Counts of what it has done so far. They must only be read. They are live; with workers they are a second
   * old at most.
   */
  readonly counters: Readonly<Counters>;
  /**
   * Publishes a message, after those of earlier calls. It waits for readers and for memory as clients do; a
   * program that awaits each promise, or every hundredth, publishes as fast as the readers read.
   *
   * @param message An object, or its JSON text; see {@linkcode Message}. It is copied before this returns.
   * @returns What became of the message, when it has been handed to all subscribers.
   * @throws {RangeError} (rejects) if the message isn't valid, or if more than `limits.maxPendingBytes` of
   * earlier messages wait.
   * @throws {Error} (rejects) if the server stops before the message's fate is known.
   */
  publish(message: Message): Promise<PublishReceipt>;
  /** Resolves with the counts of each topic that has subscribers now, of all workers together. */
  topics(): Promise<readonly TopicCounts[]>;
  /**
   * Uses another TLS identity from the next handshake on; live connections keep theirs.
   *
   * @throws {TransportError} (rejects) if the identity can't be used; the old one stays in use.
   * @throws {TypeError} (rejects) if the server doesn't speak TLS.
   */
  renew(identity: TlsIdentity): Promise<void>;
  /**
   * Uses other access rules for clients that connect or authenticate from now on. A connected client keeps
   * what it was allowed.
   *
   * @throws {RangeError} if an address or a key isn't valid; the old rules stay in use.
   */
  setAccess(access: AccessOptions): void;
  /**
   * Uses other keys for the admin port from now on.
   *
   * @throws {TypeError} if there is no admin port with keys.
   */
  setAdminKeys(keys: readonly string[]): void;
  /**
   * Stops gracefully: accepts no more connections, delivers what was accepted, tells clients
   * `server_shutdown` and after what time to come back, and closes them one by one over the time given.
   * Resolves when all connections are gone, within 10 s and that time. Idempotent: only the options of
   * the first call count.
   *
   * @throws {RangeError} (rejects) if the time isn't a finite number of milliseconds, 0 or more.
   */
  close(options?: CloseOptions): Promise<void>;
}
