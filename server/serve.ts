import { setTimeout as sleep } from "node:timers/promises";
import { MIN_FRAME_LIMIT_BYTES } from "../protocol/client_decoder.ts";
import { MAX_TOPIC_BYTES } from "../protocol/topic.ts";
import { detectRuntime } from "../runtime/detect.ts";
import { complain } from "../cli/say.ts";
import { descriptorLimit } from "../host/descriptor_limit.ts";
import { usableMemory } from "../host/usable_memory.ts";
import type { Address, Runtime, TlsIdentity } from "../runtime/types.ts";
import { getLogger } from "@logtape/logtape";
import process from "node:process";
import { isBundled } from "../cli/child.ts";
import { MAX_WORKERS } from "../host/capacity.ts";
import { type AccessOptions, AccessRules } from "./access/access.ts";
import type { AdminServer } from "./admin/admin_server.ts";
import type { AdminSource } from "./admin/source.ts";
import type { Counters } from "./counters.ts";
import {
  acceptRateFor,
  connectionsPerIpFor,
  DEFAULT_LIMITS,
  type Limits,
  maxConnectionsFor,
  maxMemoryFor,
  maxTotalPendingFor,
  minMemoryBytes,
  ownConnectionsFor,
  SPECIAL_LIMITS,
  workerLimits,
} from "./limits.ts";
import { logEvents } from "./log/log.ts";
import { unknownLimit } from "./preflight.ts";
import type { Message, PublishReceipt } from "./embedding/local_publisher.ts";
import type { TopicHooks } from "./embedding/topic_permits.ts";
import type { ServerEvents } from "./events.ts";
import { Server, type StopOptions, timeFault, type TopicCounts } from "./server.ts";

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
   * Keys of which a client has to show one. Whoever reaches the port may read everything unless given, so
   * give some for an address that other machines reach.
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

/**
 * Starts a Janus server in this process.
 *
 * ```ts
 * import { serve } from "./mod.ts";
 *
 * const server = await serve({ hostname: "127.0.0.1", port: 0 });
 * console.log(server.address, server.counters.connections);
 * await server.close();
 * ```
 *
 * @throws {RangeError} (rejects) if a limit isn't a positive whole number, or is one with which the protocol
 * can't work, or if an address or key of `access`, or an origin, isn't valid.
 * @throws {TransportError} (rejects) if the server can't listen on the address.
 */
export async function serve(options: ServeOptions = {}): Promise<RunningServer> {
  const runtime = options.runtime ?? await detectRuntime();
  const { workers = 1 } = options;
  if (!Number.isSafeInteger(workers) || workers < 1 || workers > MAX_WORKERS) {
    throw new RangeError(`workers must be a whole number from 1 to ${MAX_WORKERS}, not ${workers}`);
  }
  if (workers > 1 && process.platform === "linux") {
    return await serveByWorkers(runtime, options, workers);
  }
  if (workers > 1) complain(`hotwheels: ${workers} workers need Linux; one process serves`);
  const limits = completeLimits(attainable(options.limits));
  if (options.limits?.maxConnections === undefined) warnOfUnknownLimit();
  const server = new Server(runtime, limits, options.events ?? logEvents(), {
    access: options.access ?? {},
    descriptorLimit: descriptorLimit(),
    telemetry: options.admin && { topics: options.admin.metricsTopics ?? [] },
    topicHooks: options.on,
  });
  const admin = options.admin &&
    await openAdmin(await localSource(server, limits), runtime, options.admin);
  try {
    const where = {
      transport: "tcp",
      hostname: options.hostname ?? "0.0.0.0",
      ...(options.tls === undefined ? {} : { tls: options.tls }),
    } as const;
    const address = await server.listen({ ...where, port: options.port ?? 8081 });
    const { webSocket } = options;
    const webSocketAddress = webSocket &&
      await server.listenForWebSockets({ ...where, port: webSocket.port ?? 0 }, webSocket.origins);
    admin?.enter("serving");
    return running(server, { address, webSocketAddress, runtime, limits, admin });
  } catch (error) {
    admin?.close();
    throw error;
  }
}

/** Starts a server of several processes, which this one leads. */
async function serveByWorkers(
  runtime: Runtime,
  options: ServeOptions,
  workers: number,
): Promise<RunningServer> {
  if (isBundled()) {
    throw new Error(
      "A program that is bundled into one file can't start workers: install hotwheels",
    );
  }
  const { tls, access = {}, webSocket, events = logEvents() } = options;
  // Their mistakes are this program's, and would keep each worker from starting.
  new AccessRules(access);
  if (tls !== undefined) await runtime.tryIdentity(tls, "the identity");
  const limits = completeLimits(attainable(options.limits, workers), workers);
  if (options.limits?.maxConnections === undefined) warnOfUnknownLimit();
  const { Supervisor } = await import("./workers/supervisor.ts");
  const supervisor = new Supervisor(runtime, {
    workers,
    hostname: options.hostname ?? "0.0.0.0",
    port: options.port ?? 8081,
    webSocket: webSocket === undefined
      ? null
      : { port: webSocket.port ?? 0, origins: webSocket.origins ?? null },
    tls: tls ?? null,
    totalLimits: limits,
    limits: workerLimits(limits, workers),
    maxOwnConnections: ownConnectionsFor(limits, descriptorLimit(), workers),
    access,
    logLevel: "warning",
    logFormat: "text",
    telemetry: options.admin ? { topics: options.admin.metricsTopics ?? [] } : null,
    drainMs: null,
    hooks: options.on,
    onHookFailure: (action, error) => events.onHookFailure?.(action, error),
  }, getLogger("hotwheels"));
  const { program, source } = supervisor;
  const admin = options.admin && await openAdmin(source, runtime, options.admin);
  try {
    const address = await supervisor.start();
    await program.count();
    void supervisor.gaveUp.then((reason) => events.onGaveUp?.(reason));
    admin?.enter("serving");
    const { webSocketAddress } = supervisor;
    return running({
      counters: program.counters,
      publish: (message) => program.publish(message),
      topics: () => program.topics(),
      renew: async (identity) => {
        if (tls === undefined) throw new TypeError("The server doesn't speak TLS");
        await runtime.tryIdentity(identity, "the identity");
        await supervisor.renew(identity);
      },
      setAccess: (rules) => {
        new AccessRules(rules);
        void supervisor.setAccess(rules);
      },
      stop: ({ drainMs } = {}) => supervisor.stop(drainMs),
    }, { address, webSocketAddress, runtime, limits, admin });
  } catch (error) {
    program.stop();
    admin?.close();
    throw error;
  }
}

/** What serves: this process, or its workers. */
interface Service extends Pick<RunningServer, "counters" | "publish" | "renew" | "setAccess"> {
  topics(): Iterable<TopicCounts> | Promise<readonly TopicCounts[]>;
  stop(options?: StopOptions): Promise<void>;
}

interface Serving {
  readonly address: Address;
  readonly webSocketAddress: Address | undefined;
  readonly runtime: Runtime;
  readonly limits: Limits;
  readonly admin: AdminServer | undefined;
}

function running(
  server: Service,
  { address, webSocketAddress, runtime, limits, admin }: Serving,
): RunningServer {
  let delaying: Promise<void> | undefined;
  const close = async ({ delayMs = 0, ...options }: CloseOptions = {}) => {
    const fault = timeFault("delayMs", delayMs) ?? timeFault("drainMs", options.drainMs);
    if (fault !== undefined) throw fault;
    admin?.enter("draining");
    await (delaying ??= delayMs > 0 ? sleep(delayMs) : Promise.resolve());
    try {
      await server.stop(options);
    } finally {
      admin?.close();
    }
  };
  return {
    address,
    webSocketAddress,
    runtime,
    limits,
    adminUrl: admin?.url,
    counters: server.counters,
    publish: (message) => server.publish(message),
    topics: async () => [...await server.topics()],
    renew: (identity) => server.renew(identity),
    setAccess: (access) => server.setAccess(access),
    setAdminKeys(keys) {
      if (admin === undefined) throw new TypeError("The server has no admin port");
      admin.setKeys(keys);
    },
    close,
  };
}

/** Opens the admin port. Its modules are loaded only here, so that they cost nothing without one. */
async function openAdmin(
  source: AdminSource,
  runtime: Runtime,
  { hostname = "127.0.0.1", port = 0, keys }: ServeAdminOptions,
): Promise<AdminServer> {
  const { AdminServer } = await import("./admin/admin_server.ts");
  return await AdminServer.open(source, { hostname, port, keys, runtime });
}

async function localSource(server: Server, limits: Limits): Promise<AdminSource> {
  const { LocalSource } = await import("./admin/local_source.ts");
  return new LocalSource(server, server.telemetry!, limits);
}

let isWarned = false;

/** Warns on standard error, since a program that embeds the server may have no log. */
function warnOfUnknownLimit(): void {
  if (isWarned || descriptorLimit() !== undefined) return;
  isWarned = true;
  complain(
    `hotwheels: ${unknownLimit(1)}; set limits.maxConnections, or HOTWHEELS_NOFILE=$(ulimit -n) ` +
      "with --allow-env=HOTWHEELS_NOFILE",
  );
}

/**
 * The given limits, with at most as many connections as the descriptors allow, if that is known. With more,
 * clients would hang, connected but silent.
 *
 * @param workers The number of processes that serve together: each has a descriptor limit of its own.
 */
export function attainable(given: Partial<Limits> = {}, workers = 1): Partial<Limits> {
  const descriptors = descriptorLimit();
  if (given.maxConnections === undefined || descriptors === undefined) return given;
  const most = maxConnectionsFor(descriptors, workers) * workers;
  return { ...given, maxConnections: Math.min(given.maxConnections, most) };
}

/** True for a limit's value that is allowed although it isn't a positive whole number. */
function isSpecial(name: keyof Limits, value: unknown): boolean {
  if (!SPECIAL_LIMITS.includes(name)) return false;
  if (name === "historyTopics") return Array.isArray(value);
  return value === undefined || name === "historyMs" && value === 0;
}

/**
 * The given limits, and the defaults for all others.
 *
 * @param workers The number of processes that serve together: each has a descriptor limit of its own.
 * @throws {RangeError} if a limit isn't a positive whole number, or is one with which the protocol can't
 * work.
 */
export function completeLimits(given: Partial<Limits> = {}, workers = 1): Limits {
  const maxConnections = given.maxConnections ??
    maxConnectionsFor(descriptorLimit(), workers) * workers;
  const maxMemoryBytes = given.maxMemoryBytes ?? maxMemoryFor(usableMemory(), workers);
  const limits: Limits = {
    ...DEFAULT_LIMITS,
    maxTotalPendingBytes: maxTotalPendingFor(maxMemoryBytes),
    maxMemoryBytes,
    maxConnectionsPerIp: connectionsPerIpFor(maxConnections),
    acceptRate: acceptRateFor(maxConnections),
    ...given,
    maxConnections,
  };
  // The given limits first, since defaults that follow from a wrong one are wrong too.
  for (const [name, value] of Object.entries({ ...given, ...limits })) {
    if (isSpecial(name as keyof Limits, value)) continue;
    if (Number.isSafeInteger(value) && (value as number) > 0) continue;
    throw new RangeError(`The limit ${name} must be a positive whole number, not ${value}`);
  }
  const { maxFrameBytes, maxTopicBytes } = limits;
  if (maxMemoryBytes < minMemoryBytes(workers)) {
    throw new RangeError(`The limit maxMemoryBytes must be ${minMemoryBytes(workers)} at least`);
  }
  if (maxFrameBytes < MIN_FRAME_LIMIT_BYTES) {
    throw new RangeError(`The limit maxFrameBytes must be ${MIN_FRAME_LIMIT_BYTES} at least`);
  }
  if (maxTopicBytes > MAX_TOPIC_BYTES) {
    throw new RangeError(`The limit maxTopicBytes must be ${MAX_TOPIC_BYTES} at most`);
  }
  return limits;
}
