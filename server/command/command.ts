/**
 * The server's command; `main.ts` runs it.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { renounceChildren } from "../../cli/child.ts";
import { counted } from "../../cli/counted.ts";
import { answer, print } from "../../cli/command.ts";
import { EnvironmentError } from "../../cli/command_line.ts";
import { detectRuntime } from "../../runtime/detect.ts";
import { demand } from "../../cli/permission.ts";
import { renounce } from "../../runtime/permissions.ts";
import { complain, say } from "../../cli/say.ts";
import { descriptorLimit } from "../../host/descriptor_limit.ts";
import { addressText } from "../../runtime/transport_error.ts";
import { type Address, type Runtime, TransportError } from "../../runtime/types.ts";
import { EnvironmentSettings } from "../../cli/settings/environment.ts";
import { configurationText } from "./print_config.ts";
import type { AdminSource } from "../admin/source.ts";
import { readAccess, readAdminKeys } from "./access_files.ts";
import { clusterSetup } from "../cluster_setup.ts";
import { readCluster } from "./cluster_options.ts";
import { listenFor } from "../../cli/early_signals.ts";
import { type Limits } from "../limits.ts";
import { ownConnectionsFor, workerLimits } from "../limits/derived.ts";
import { configureLog } from "../log/log.ts";
import { VALUE_FLAGS } from "./flags.ts";
import { HELP } from "./help.ts";
import { type CommandOptions, parseCommand } from "./options.ts";
import { demandDescriptors, serverWarnings } from "../preflight.ts";
import { type Reloadable, Reloader } from "./reload.ts";
import { attainable, completeLimits, serve } from "../serve.ts";
import { ServiceManager } from "./service_manager.ts";
import { Supervisor } from "../workers/supervisor.ts";
import { passedSocket } from "./passed_socket.ts";
import { firstSignal, logStop, STOP_WITHIN_MS, within } from "./stopping.ts";
import { readIdentity } from "./tls_files.ts";
import { TEXT } from "../log/format.ts";

/** Milliseconds for which the process waits at its end for the log's reader. */
const LAST_LINES_MS = 500;

/** Milliseconds of a stop's time that are left for the log, and for a busy event loop. */
const LAST_MOMENTS_MS = 700;

/**
 * Runs the server until a signal stops it.
 *
 * @param args The arguments behind the script's name.
 * @returns The process's exit status.
 */
export async function main(args: readonly string[]): Promise<number> {
  const command = parseCommand(args, () => new EnvironmentSettings(VALUE_FLAGS));
  if (!("options" in command)) return answer(command, HELP);
  const { options } = command;
  if (command.does === "print_config") {
    const limits = limitsOf(options);
    return print(configurationText({ options, limits, sourceOf: command.sourceOf }));
  }
  const log = await configureLog(options.logLevel, options.logFormat);
  try {
    warnOfMachine(options);
    return await run(options);
  } catch (error) {
    const isForeseen = error instanceof EnvironmentError || error instanceof TransportError;
    if (options.logFormat !== "json" || !isForeseen) throw error;
    getLogger("hotwheels").fatal("{error}", { error: error.message });
    return 1;
  } finally {
    await log.flushed(LAST_LINES_MS);
  }
}

function warnOfMachine(options: CommandOptions): void {
  const { limits, workers } = options;
  for (const warning of serverWarnings(limits.maxConnections, workers)) warner(options)(warning);
}

/** Says at the start what isn't as it should be: in words of its own, or in the log if programs read that. */
function warner({ logFormat }: CommandOptions): (warning: string) => void {
  if (logFormat === "text") return (warning) => complain(`hotwheels: ${warning}`);
  return (warning) => getLogger("hotwheels").warn("{text.warning}", { [TEXT]: { warning } });
}

function run(options: CommandOptions): Promise<number> {
  const { workers, host, port } = options;
  demand({ name: "net", host: addressText({ transport: "tcp", hostname: host, port }) });
  if (workers === 1) return runAlone(options);
  if (process.platform === "linux") return runWorkers(options);
  // Elsewhere one of the processes that share a port gets all connections.
  warner(options)(`--workers ${workers} needs Linux; one process serves`);
  return runAlone(options);
}

/** The limits in force. */
function limitsOf({ limits, workers }: CommandOptions): Limits {
  return completeLimits(attainable(limits, workers), workers);
}

async function runAlone(options: CommandOptions): Promise<number> {
  const { host, port, webSocket, tls, drainMs, drainDelayMs, metricsTopics } = options;
  demandDescriptors(1);
  const manager = new ServiceManager();
  // The command may have more permissions than a single process needs.
  if (!manager.isThere) renounceChildren();
  if (options.historyFile === undefined) renounce({ name: "write" });
  const limits = limitsOf(options);
  const warnOf = warner(options);
  const access = readAccess(options, warnOf);
  // Before the first line names the process to signal.
  const signal = firstSignal();
  const runtime = await detectRuntime();
  const identity = tls === undefined ? {} : { tls: await readIdentity(runtime, tls, warnOf) };
  const keys = readAdminKeys(options, warnOf);
  const admin = options.admin &&
    { ...options.admin, metricsTopics, ...(keys === undefined ? {} : { keys }) };
  const descriptor = passedSocket(options);
  const server = await serve({
    hostname: host,
    port,
    ...(descriptor === undefined ? {} : { descriptor }),
    limits,
    access,
    runtime,
    ...identity,
    ...(webSocket === undefined ? {} : { webSocket }),
    ...(options.historyFile === undefined ? {} : { historyFile: options.historyFile }),
    ...(options.cluster === undefined ? {} : { cluster: readCluster(options.cluster, warnOf) }),
    ...(admin === undefined ? {} : { admin }),
  });
  const reloader = reloadOnHangups(runtime, options, server, manager);
  listenFor("SIGUSR2", sayThatNothingRolls);
  manager.ready(announce(server, "", options));
  const name = await signal;
  reloader.stop();
  const { connections } = server.counters;
  const patienceMs = STOP_WITHIN_MS + drainDelayMs + (drainMs ?? 0) - LAST_MOMENTS_MS;
  const close = { delayMs: drainDelayMs, ...(drainMs === undefined ? {} : { drainMs }) };
  const stop = () => within(patienceMs, server.close(close));
  await logStop(name, `draining ${counted(connections, "connection")}`, stop, options, manager);
  return 0;
}

async function runWorkers(options: CommandOptions): Promise<number> {
  const { workers, host, port, webSocket, logLevel, logFormat, tls, drainMs, drainDelayMs } =
    options;
  const warnOf = warner(options);
  const manager = new ServiceManager();
  passedSocket(options);
  demandDescriptors(workers);
  const runtime = await detectRuntime();
  const limits = limitsOf(options);
  const logger = getLogger("hotwheels");
  const supervisor = new Supervisor(runtime, {
    workers,
    hostname: host,
    port,
    webSocket: webSocket === undefined
      ? null
      : { port: webSocket.port, origins: webSocket.origins ?? null },
    tls: tls === undefined ? null : await readIdentity(runtime, tls, warnOf),
    totalLimits: limits,
    limits: workerLimits(limits, workers),
    maxOwnConnections: ownConnectionsFor(limits, descriptorLimit(), workers),
    access: readAccess(options, warnOf),
    logLevel,
    logFormat,
    telemetry: options.admin === undefined ? null : { topics: options.metricsTopics },
    drainMs: drainMs ?? null,
    historyFile: options.historyFile ?? null,
    cluster: options.cluster === undefined
      ? null
      : clusterSetup(readCluster(options.cluster, warnOf), limits, port, workers),
  }, logger);
  const admin = await openAdmin(runtime, options, supervisor.source);
  const signal = firstSignal(() => supervisor.kill());
  const starting = supervisor.start();
  const started = await Promise.race([starting, signal]);
  if (typeof started === "string") {
    // Workers that don't come up during a stop are no failure.
    starting.catch(() => {});
    await logStop(
      started,
      `ending ${workers} workers that start`,
      () => supervisor.stop(),
      { ...options, drainDelayMs: 0 },
      manager,
    );
    return 0;
  }
  // This process may start others, so it must not be reachable: only workers speak with clients. The admin
  // port, if there is one, is open already.
  renounce({ name: "net" });
  const reloader = reloadOnHangups(runtime, options, {
    renew: (identity) => supervisor.renew(identity),
    setAccess: (access) => supervisor.setAccess(access),
    setAdminKeys: (keys) => admin?.setKeys(keys),
  }, manager);
  listenFor("SIGUSR2", () => supervisor.roll());
  admin?.enter("serving");
  const { webSocketAddress } = supervisor;
  const serving = { address: started, webSocketAddress, runtime, limits, adminUrl: admin?.url };
  manager.ready(announce(serving, `${workers} workers, `, options));
  const gaveUp = supervisor.gaveUp.then((reason) => ({ reason }));
  const end = await Promise.race([signal, gaveUp]);
  reloader.stop();
  admin?.enter("draining");
  if (typeof end === "object") {
    await supervisor.stop();
    throw new EnvironmentError(`${end.reason}: giving up`);
  }
  supervisor.prepareStop();
  const stop = async () => {
    if (drainDelayMs > 0) await Promise.race([sleep(drainDelayMs), gaveUp]);
    await supervisor.stop();
  };
  await logStop(end, `draining ${workers} workers`, stop, options, manager);
  return 0;
}

/** Opens the admin port, if the command line has one. Its modules are loaded only then. */
async function openAdmin(runtime: Runtime, options: CommandOptions, source: AdminSource) {
  if (options.admin === undefined) return undefined;
  const { AdminServer } = await import("../admin/admin_server.ts");
  const keys = readAdminKeys(options, warner(options));
  return await AdminServer.open(source, { ...options.admin, keys, runtime });
}

interface Announced {
  readonly address: Address;
  readonly runtime: Runtime;
  readonly limits: Limits;
  readonly webSocketAddress: Address | undefined;
  readonly adminUrl: string | undefined;
}

/** Says that the server listens, and returns where. */
function announce(
  { address, runtime, limits, webSocketAddress, adminUrl }: Announced,
  workers: string,
  { tls }: CommandOptions,
): string {
  const what = `${runtime.name} ${runtime.version}, pid ${process.pid}`;
  const most = `${workers}at most ${limits.maxConnections} connections`;
  const admin = adminUrl === undefined ? "" : `, admin on ${adminUrl}`;
  const scheme = tls === undefined ? "ws" : "wss";
  const webSocket = webSocketAddress === undefined
    ? ""
    : `, WebSocket on ${scheme}://${addressText(webSocketAddress)}`;
  const listening = `listening on ${addressText(address)} (${what}, ${most}${webSocket}${admin})`;
  say(`hotwheels ${listening}`);
  return listening;
}

function reloadOnHangups(
  runtime: Runtime,
  options: CommandOptions,
  server: Reloadable,
  manager: ServiceManager,
): Reloader {
  const reloader = new Reloader(runtime, options, server, getLogger("hotwheels"), manager);
  listenFor("SIGHUP", () => reloader.reload());
  return reloader;
}

/** Answers SIGUSR2 in a server without workers. */
function sayThatNothingRolls(): void {
  getLogger("hotwheels").warn(
    "got SIGUSR2, which replaces workers while the server runs, but this server has none: start it " +
      "with --workers 2 or more, or restart it; it serves on as it is",
  );
}
