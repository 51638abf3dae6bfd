/**
 * One process of a server that has several, started and led by `supervisor.ts`.
 *
 * @module
 */

// First: SIGHUP and SIGUSR2, which are the supervisor's business, must not end this process.
import "../../cli/early_signals.ts";

import { getLogger, type Logger } from "@logtape/logtape";
import process from "node:process";
import { counted } from "../../cli/counted.ts";
import { detectRuntime } from "../../runtime/detect.ts";
import { descriptorLimit } from "../../host/descriptor_limit.ts";
import {
  type CensusMessage,
  CONTROL_VERSION,
  type LedgerMessage,
  type NumberedOrder,
  type Order,
  type OrderAnswer,
  type Report,
  type VerdictMessage,
} from "./control.ts";
import { CATCH_UP_MS, holdCluster } from "../cluster_setup.ts";
import { clusterLog } from "../log/cluster_log.ts";
import type { ClusterEvents } from "../machines/report.ts";
import { nextPiece, recordsOf } from "./history_pieces.ts";
import { configureLog, logDropped, logEvents, logLink } from "../log/log.ts";
import type { LogQueue } from "../log/log_queue.ts";
import { ProvenSockets } from "./proven_sockets.ts";
import { Server } from "../server.ts";
import type { StopOptions } from "../server_options.ts";
import { timedTrace } from "../admin/local_source.ts";
import type { TraceSink } from "../telemetry/tracer.ts";
import { REPORT_INTERVAL_MS } from "../telemetry/limits.ts";
import { Timekeeper } from "../timing/timekeeper.ts";
import { AskedProgram } from "./asked_program.ts";
import { TEXT } from "../log/format.ts";

/** Milliseconds for which the process waits at its end for the log's reader. */
const LAST_LINES_MS = 500;

/** A supervisor is never silent for so many milliseconds, since it pings every two seconds. */
const SILENCE_MS = 10_000;

const supervisorPid = process.ppid;

const runtime = await detectRuntime();
let server: Server | undefined;
let log: LogQueue | undefined;
let logger: Logger | undefined;
let clusterEvents: ClusterEvents | undefined;
let stopOptions: StopOptions = {};
const program = new AskedProgram((asked, action, request) => report({ asked, action, request }));
/** Ends each trace, by its number. */
const traces = new Map<number, () => void>();
let hasListened = false;
/** Records of what an earlier run of the server has left, and of what this one leaves. */
let earlier: Uint8Array[] = [];
let leaving: Generator<Uint8Array> | undefined;
let silence = setTimeout(onSilence, SILENCE_MS);

type FromSupervisor = NumberedOrder | LedgerMessage | CensusMessage | VerdictMessage;

process.on("message", async (order: FromSupervisor) => {
  clearTimeout(silence);
  silence = setTimeout(onSilence, SILENCE_MS);
  if ("notices" in order) return server?.borrower?.hear(order.notices, order.isAnswer);
  if ("asked" in order) return program.hear(order.asked, order.isAllowed);
  if ("census" in order) {
    return order.census === "wanted"
      ? server?.others?.answer()
      : server?.others?.hear(order.census);
  }
  try {
    report({ id: order.id, done: await obey(order) });
    if (order.do === "stop") process.disconnect?.();
  } catch (error) {
    report({ id: order.id, failed: (error as Error).message });
  }
});

// The supervisor decides what a signal means, since a signal to the process group reaches it too. Without
// a supervisor this process is ending already, so the signal counts as the second one.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => process.connected ? report({ signal }) : process.exit(1));
}

// Without a supervisor nothing would ever stop this process.
process.on("disconnect", leave);
// The supervisor may have gone before this listener was there.
if (!process.connected) void leave();

/** Ends this process if its supervisor has gone unnoticed: Deno may miss that while a worker starts. */
function onSilence(): void {
  // A supervisor that lives but stands still is no reason to leave clients.
  if (hasListened && process.ppid === supervisorPid) silence = setTimeout(onSilence, SILENCE_MS);
  else void leave();
}

/** Tells the supervisor what was counted, if it wants to know. */
function reportTelemetry(): void {
  const { telemetry } = server ?? {};
  if (telemetry !== undefined) report({ telemetry: telemetry.report() });
}

async function leave(): Promise<void> {
  await server?.stop(stopOptions);
  await log?.flushed(LAST_LINES_MS);
  process.exit(0);
}

function report(report: Report): void {
  if (process.connected) process.send?.(report);
}

async function obey(order: Order): Promise<OrderAnswer> {
  switch (order.do) {
    case "start": {
      if (order.version !== CONTROL_VERSION) throw new Error(versionMismatch(order.version));
      log = await configureLog(order.logLevel, order.logFormat);
      if (order.drainMs !== null) stopOptions = { drainMs: order.drainMs };
      logger = getLogger(["hotwheels", order.name]);
      const { workers, maxOwnConnections } = order;
      const timekeeper = new Timekeeper();
      timekeeper.timestamps.raise(order.timestampsAfter);
      const events = logEvents(logger, workers);
      if (order.cluster !== null) clusterEvents = clusterLog(logger);
      server = new Server(new ProvenSockets(runtime, order.secret), order.limits, events, {
        hasMesh: true,
        ...(order.cluster === null
          ? {}
          : { cluster: { settings: order.cluster, events: clusterEvents! } }),
        timekeeper,
        onOverdue: (overdue) => report({ overdue }),
        onLinkState: (state) => logLink(logger as Logger, state),
        onDropped: (process) => logDropped(logger as Logger, process),
        onUnreachable: (unreachable) => report({ unreachable }),
        descriptorLimit: descriptorLimit(),
        telemetry: order.telemetry ?? undefined,
        topicHooks: program.hooksFor(order.asksFor),
        lending: {
          workers,
          maxOwnConnections,
          send: (claims) => report({ claims }),
          sendCensus: (census, asks) => report({ census, asks }),
        },
      });
      if (order.telemetry !== null) setInterval(reportTelemetry, REPORT_INTERVAL_MS);
      await server.mesh?.listen(order.socketPath);
      return null;
    }
    case "link":
      await server?.mesh?.link(order.socketPath);
      return null;
    case "unlink":
      server?.mesh?.unlink(order.socketPath, order.end);
      return null;
    case "copy_history":
      await server?.mesh?.copyHistory(order.socketPath);
      return null;
    case "hold_cluster":
      await holdCluster(server!, order.nats, clusterEvents!);
      return null;
    case "let_go_cluster":
      await server?.cluster?.uplink.letGo();
      return null;
    case "join_cluster": {
      const joined = await server?.cluster?.join() ?? null;
      await server?.cluster?.awaitCaughtUp(CATCH_UP_MS);
      return joined;
    }
    case "listen": {
      const { hostname, port, isFirst, tls, access } = order;
      const reusePort = isFirst ? "claim" : "join";
      server?.setAccess(access);
      const secure = tls === null ? {} : { tls };
      const options = { transport: "tcp", hostname, port, reusePort, ...secure } as const;
      const address = await server?.listen(options) ?? null;
      hasListened = true;
      return address;
    }
    case "listen_for_web_sockets": {
      const { hostname, port, isFirst, tls, origins } = order;
      const reusePort = isFirst ? "claim" : "join";
      const secure = tls === null ? {} : { tls };
      const options = { transport: "tcp", hostname, port, reusePort, ...secure } as const;
      return await server?.listenForWebSockets(options, origins ?? undefined) ?? null;
    }
    case "renew":
      await server?.renew(order.tls);
      return null;
    case "set_access":
      server?.setAccess(order.access);
      return null;
    case "drain":
      logDraining();
      await server?.drain();
      return null;
    case "restore_history":
      earlier.push(...recordsOf(order.piece));
      if (order.piece.hasMore) return null;
      server?.restoreHistory({ records: earlier, ageMs: order.ageMs });
      earlier = [];
      return null;
    case "retire":
      if (order.drainMs !== undefined) stopOptions = { drainMs: order.drainMs };
      await server?.retire(stopOptions.drainMs);
      return null;
    case "save_history":
      leaving ??= server?.historyRecords();
      return leaving === undefined ? null : nextPiece(leaving);
    case "stop":
      if (order.drainMs !== undefined) stopOptions = { drainMs: order.drainMs };
      await server?.stop(stopOptions);
      reportTelemetry();
      return null;
    case "publish":
      return await server?.publish(order.message) ?? null;
    case "count":
      return server?.counters ?? null;
    case "list_topics":
      return [...server?.topics() ?? []];
    case "trace": {
      const { trace, filter, ms } = order;
      const show: TraceSink = (traced, skipped) => report({ trace, traced, skipped });
      traces.get(trace)?.();
      if (server !== undefined) traces.set(trace, timedTrace(server, filter, ms, show));
      return null;
    }
    case "end_trace":
      traces.get(order.trace)?.();
      traces.delete(order.trace);
      return null;
    case "inspect":
      return await server?.telemetry?.inspect() ?? null;
    case "ping":
      return null;
  }
}

function logDraining(): void {
  const connections = server?.counters.connections ?? 0;
  const what = counted(connections, "connection");
  logger?.info("draining {text.what}", { connections, [TEXT]: { what } });
}

function versionMismatch(version: unknown): string {
  return `it is of another version of the server (${CONTROL_VERSION}) than its supervisor ` +
    `(${version}), and they don't understand each other: restart the server`;
}
