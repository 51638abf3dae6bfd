import { getLogger } from "@logtape/logtape";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { MIN_FRAME_LIMIT_BYTES } from "../protocol/client_decoder.ts";
import { MAX_TOPIC_BYTES } from "../protocol/topic.ts";
import { detectRuntime } from "../runtime/detect.ts";
import { complain } from "../cli/say.ts";
import { descriptorLimit } from "../host/descriptor_limit.ts";
import { usableMemory } from "../host/usable_memory.ts";
import type { Address, Runtime } from "../runtime/types.ts";
import { isBundled } from "../cli/child.ts";
import { connectionsPerIpFor, MAX_WORKERS, maxConnectionsFor } from "../host/capacity.ts";
import { AccessRules } from "./access/access.ts";
import type { AdminServer } from "./admin/admin_server.ts";
import type { AdminSource } from "./admin/source.ts";
import { DEFAULT_LIMITS, type Limits, SPECIAL_LIMITS } from "./limits.ts";
import {
  acceptRateFor,
  maxMemoryFor,
  maxTotalPendingFor,
  minMemoryBytes,
  ownConnectionsFor,
  workerLimits,
} from "./limits/derived.ts";
import { takeHistoryFile, writeHistoryFile } from "./history/history_file.ts";
import { clusterSetup, joinCluster } from "./cluster_setup.ts";
import { clusterLog } from "./log/cluster_log.ts";
import { checkHistoryFile } from "./log/history_file_check.ts";
import { logEvents, logHistoryFile } from "./log/log.ts";
import { unknownLimit } from "./preflight.ts";
import type {
  CloseOptions,
  RunningServer,
  ServeAdminOptions,
  ServeOptions,
} from "./running_server.ts";
import { Server } from "./server.ts";
import { type StopOptions, timeFault, type TopicCounts } from "./server_options.ts";

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
  if (workers > 1 && options.descriptor !== undefined) {
    throw new TypeError(
      "Several processes can't share a socket that is passed: descriptor is for one",
    );
  }
  if (workers > 1 && process.platform === "linux") {
    return await serveByWorkers(runtime, options, workers);
  }
  if (workers > 1) complain(`hotwheels: ${workers} workers need Linux; one process serves`);
  const limits = completeLimits(attainable(options.limits));
  if (options.limits?.maxConnections === undefined) warnOfUnknownLimit();
  const setup = options.cluster && clusterSetup(options.cluster, limits, options.port, 1);
  const clusterEvents = setup && clusterLog();
  const server = new Server(runtime, limits, options.events ?? logEvents(), {
    ...(setup === undefined ? {} : { cluster: { ...setup, events: clusterEvents! } }),
    access: options.access ?? {},
    descriptorLimit: descriptorLimit(),
    telemetry: options.admin && { topics: options.admin.metricsTopics ?? [] },
    topicHooks: options.on,
  });
  const { historyFile } = options;
  const joined = setup && await joinCluster(server, setup, clusterEvents!);
  if (historyFile !== undefined) checkHistoryFile(historyFile);
  // Another machine's history is newer than the one that this one has left.
  if (historyFile !== undefined && joined?.what !== "copied") restoreHistory(server, historyFile);
  const admin = options.admin &&
    await openAdmin(await localSource(server, limits), runtime, options.admin);
  try {
    const where = {
      transport: "tcp",
      hostname: options.hostname ?? "0.0.0.0",
      ...(options.tls === undefined ? {} : { tls: options.tls }),
    } as const;
    const { descriptor } = options;
    const passed = descriptor === undefined ? {} : { descriptor };
    const address = await server.listen({ ...where, port: options.port ?? 8081, ...passed });
    const { webSocket } = options;
    const webSocketAddress = webSocket &&
      await server.listenForWebSockets({ ...where, port: webSocket.port ?? 0 }, webSocket.origins);
    admin?.enter("serving");
    return running(server, {
      address,
      webSocketAddress,
      runtime,
      limits,
      admin,
      save: () => historyFile === undefined ? undefined : saveHistory(server, historyFile),
    });
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
    historyFile: options.historyFile ?? null,
    cluster: options.cluster === undefined
      ? null
      : clusterSetup(options.cluster, limits, options.port, workers),
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

/** The server behind a {@linkcode RunningServer}: this process, or its workers. */
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
  /** Called once, when it has stopped. */
  readonly save?: () => void;
}

function running(
  server: Service,
  { address, webSocketAddress, runtime, limits, admin, save }: Serving,
): RunningServer {
  let delaying: Promise<void> | undefined;
  let isSaved = false;
  const close = async ({ delayMs = 0, ...options }: CloseOptions = {}) => {
    const fault = timeFault("delayMs", delayMs) ?? timeFault("drainMs", options.drainMs);
    if (fault !== undefined) throw fault;
    admin?.enter("draining");
    await (delaying ??= delayMs > 0 ? sleep(delayMs) : Promise.resolve());
    try {
      await server.stop(options);
      if (!isSaved) save?.();
      isSaved = true;
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

function restoreHistory(server: Server, path: string): void {
  try {
    const saved = takeHistoryFile(path);
    if (saved !== undefined) server.restoreHistory(saved);
  } catch (error) {
    logHistoryFile(path, "read", error as Error);
  }
}

function saveHistory(server: Server, path: string): void {
  try {
    writeHistoryFile(path, server.historyRecords());
  } catch (error) {
    logHistoryFile(path, "written", error as Error);
  }
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
