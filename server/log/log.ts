/**
 * The server's log: one line for each event, to standard error.
 *
 * @module
 */

import { configure, getLogger, type Logger, type LogRecord } from "@logtape/logtape";
import { quoteBytes } from "../../protocol/json/printable.ts";
import { writeStandardError } from "../../runtime/this_process.ts";
import { addressText } from "../../runtime/transport_error.ts";
import type { OwedProcess } from "../cluster/backplane.ts";
import type { EndReason } from "../counters.ts";
import type { LinkState } from "../cluster/link_dialler.ts";
import { formatterOf, type LogFormat, TEXT } from "./format.ts";
import { LineQuota } from "./line_quota.ts";
import { LogQueue } from "./log_queue.ts";
import type { CeilingEvent } from "../memory/memory_ceiling.ts";
import type { ServerEvents } from "../events.ts";
import type { SessionEnd } from "../session/session_end.ts";
import type { ClockEvent } from "../timing/timekeeper.ts";

/** The levels, from the one that logs most to the one that logs least. */
export const LOG_LEVELS = ["debug", "info", "warning", "error"] as const;
export type LogLevel = typeof LOG_LEVELS[number];

/**
 * Lines a second about clients that the server closed, and as many about clients that left: 20 of each,
 * more than a person can read. What clients do by the thousand must not fill a disk. All workers of a
 * server together log no more.
 */
export const MAX_LINES_PER_SECOND = 20;

/** If accepts fail, they do so ten times a second and for one reason: a line a minute says so. */
const FAILURES_PERIOD_MS = 60_000;

/** The bytes that may wait for the log's reader: 256 KiB, some two thousand lines. */
const MAX_WAITING_BYTES = 256 * 1024;

const encoder = new TextEncoder();

/**
 * Sends the log to standard error. A command calls this once; a library never does.
 *
 * @returns The lines that are still on their way there.
 */
export async function configureLog(level: LogLevel, format: LogFormat): Promise<LogQueue> {
  const formatter = formatterOf(format);
  const queue = new LogQueue(
    writeStandardError,
    MAX_WAITING_BYTES,
    (count) => formatter(lostLines(count)),
  );
  await configure({
    sinks: { stderr: (record) => queue.add(formatter(record)) },
    loggers: [
      { category: "hotwheels", lowestLevel: level, sinks: ["stderr"] },
      { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["stderr"] },
    ],
  });
  return queue;
}

/** The record of so many lines that were dropped. */
function lostLines(count: number): LogRecord {
  return {
    category: ["hotwheels"],
    level: "warning",
    message: [`${count} lines were lost here`],
    rawMessage: "{lost} lines were lost here",
    timestamp: Date.now(),
    properties: { lost: count },
  };
}

/**
 * Logs the server's events. Clients that leave, or abort before they are accepted, are `debug`. Clients
 * that the server closed are `warning`, with their address, the reason, the topic, the bytes that waited
 * for them, and their age. What exceeds {@linkcode MAX_LINES_PER_SECOND} becomes one line.
 *
 * @param processes The number of processes that log: each has its part of the lines, and sums up as much
 * less often.
 */
export function logEvents(
  logger: Logger = getLogger("hotwheels"),
  processes = 1,
): ServerEvents {
  const lines = Math.max(1, Math.floor(MAX_LINES_PER_SECOND / processes));
  const periodMs = 1_000 * Math.max(1, lines * processes / MAX_LINES_PER_SECOND);
  const sumUpMs = 1_000 * processes;
  const more = processes === 1
    ? "and more in the same second: {text.counts}"
    : `and more within ${processes} s: {text.counts}`;
  const ordinary = new LineQuota(
    lines,
    (counts) => {
      logger.debug(more, countFields(counts));
    },
    periodMs,
    sumUpMs,
  );
  const remarkable = new LineQuota(
    lines,
    (counts) => {
      logger.warn(more, countFields(counts));
    },
    periodMs,
    sumUpMs,
  );
  const failures = new LineQuota(1, (counts) => {
    const [times] = counts.values();
    const minutes = processes === 1 ? "minute" : `${processes} minutes`;
    logger.error("and accepting has failed {times} times more in the last {minutes}", {
      times,
      minutes,
    });
  }, FAILURES_PERIOD_MS * processes);
  return {
    onSessionEnd(end) {
      const { reason } = end;
      if (isOrdinary(reason)) {
        if (!logger.isEnabledFor("debug") || !ordinary.admits(reason)) return;
        logger.debug(
          "{text.client} ended: {reason}, {pending_bytes} bytes waiting, {text.topics}, {text.age} s old",
          fieldsOf(end),
        );
      } else if (remarkable.admits(reason)) {
        logger.warn(
          "closed {text.client}: {reason}, {pending_bytes} bytes waiting, {text.topics}, " +
            "{text.age} s old: {detail}",
          fieldsOf(end),
        );
      }
    },
    onThrottled(remoteAddress, remotePort, publishRate) {
      if (!remarkable.admits("slowed")) return;
      const fields = {
        address: remoteAddress,
        port: remotePort,
        [TEXT]: { client: clientText(remoteAddress, remotePort) },
      };
      if (publishRate === undefined) {
        logger.info("slowed {text.client}: it sends more bytes a second than it may", fields);
      } else {
        logger.info(
          "slowed {text.client}: it sends more than {publish_rate} messages a second, or more bytes " +
            "than it may",
          { ...fields, publish_rate: publishRate },
        );
      }
    },
    onMemory({ step, hasBegun, residentBytes, maxBytes }) {
      const fields = {
        step,
        resident_bytes: residentBytes,
        max_bytes: maxBytes,
        [TEXT]: {
          memory: `${inMegabytes(residentBytes)} of ${inMegabytes(maxBytes)} MB`,
          step: STEP_TEXTS[step],
        },
      };
      if (hasBegun) logger.warn("memory is short, {text.memory} are taken: {text.step}", fields);
      else logger.info("memory was short, {text.memory} are taken now; over: {text.step}", fields);
    },
    onClock(event) {
      // Several processes have one clock, and their supervisor logs its events.
      if (processes === 1) logClock(logger, event);
    },
    onHookFailure(action, error) {
      if (!remarkable.admits("hook failed")) return;
      const fields = { action, error: error instanceof Error ? error.message : String(error) };
      logger.error("the hook for {action} failed, and the client is refused: {error}", fields);
    },
    onAcceptError(error) {
      const text = "a connection could not be accepted: {error}";
      const { code, message } = error;
      const fields = { code, error: message };
      // Clients that connect and abort do so by the thousand, which must not fill the log.
      if (code === "connection_reset") {
        if (ordinary.admits("aborted")) logger.debug(text, fields);
      } else if (failures.admits("failed")) logger.error(text, fields);
    },
  };
}

/**
 * Logs that a file of stored messages couldn't be used.
 *
 * @param what What couldn't be done with it.
 */
export function logHistoryFile(
  path: string,
  what: "read" | "tried" | "written",
  error: Error,
): void {
  const fields = { file: path, cause: error.message };
  const logger = getLogger("hotwheels");
  if (what === "read") {
    logger.warn(
      "--history-file {file} can't be used: {cause}; the server starts without stored messages",
      fields,
    );
  } else if (what === "tried") {
    logger.error(
      "--history-file {file} can't be written: {cause}; a stop will lose what is stored",
      fields,
    );
  } else {
    logger.error(
      "--history-file {file} can't be written: {cause}; what was stored is lost",
      fields,
    );
  }
}

/** Logs that the system's clock was set, or that timestamps agree with it again. */
export function logClock(logger: Logger, event: ClockEvent): void {
  if (event.what === "caught_up") {
    logger.info("timestamps agree with the system's clock again");
    return;
  }
  const fields = {
    by_ms: Math.round(event.byMs),
    [TEXT]: { seconds: (event.byMs / 1000).toFixed(1) },
  };
  if (event.what === "set_forward") {
    logger.warn(
      "the system's clock was set forward by {text.seconds} s: timestamps follow",
      fields,
    );
  } else {
    logger.warn(
      "the system's clock was set back, {text.seconds} s behind the timestamps: they stand nearly still " +
        "until it has caught up, or the server is restarted",
      fields,
    );
  }
}

/** Logs that a link to another worker is down, or stands again. */
export function logLink(logger: Logger, { path, stands, downMs, cause }: LinkState): void {
  const fields = {
    peer: workerAt(path),
    down_ms: Math.round(downMs),
    cause,
    [TEXT]: { seconds: (downMs / 1000).toFixed(2) },
  };
  if (stands) logger.warn("linked with {peer} again after {text.seconds} s: {cause}", fields);
  else logger.error("no link to {peer} for {text.seconds} s, dialling again: {cause}", fields);
}

/** Logs what another worker doesn't get, because this one ends. */
export function logDropped(logger: Logger, { path, keptBytes }: OwedProcess): void {
  const fields = { peer: workerAt(path), kept_bytes: keptBytes };
  logger.error("{peer} hasn't taken {kept_bytes} bytes in time, which are dropped", fields);
}

/** A worker's name and process id, as they stand in the path of its socket. */
function workerAt(path: string): string {
  return /worker-\d+-\d+/.exec(path)?.[0] ?? path;
}

/** The words for each step that the server takes while memory is short. */
const STEP_TEXTS: Readonly<Record<CeilingEvent["step"], string>> = {
  gives_back: "garbage is collected",
  holds_bulk: "clients that send much wait",
  holds_publishers: "all publishers wait",
  evicts: "clients that hold most are closed",
  refuses: "connections are refused",
  gave_up: "it doesn't fall, so clients don't wait for it any longer",
};

function inMegabytes(bytes: number): number {
  return Math.round(bytes / 1_000_000);
}

function fieldsOf(end: SessionEnd): Record<string, unknown> {
  const { remoteAddress, remotePort, reason, pendingBytes, ageMs, detail } = end;
  return {
    ...(remoteAddress === "" ? {} : { address: remoteAddress, port: remotePort }),
    reason,
    ...(end.topic === undefined ? {} : { topic: end.topic, topics: end.topicCount }),
    pending_bytes: pendingBytes,
    age_ms: Math.round(ageMs),
    detail,
    [TEXT]: {
      client: clientText(remoteAddress, remotePort),
      topics: topicsText(end),
      age: (ageMs / 1000).toFixed(1),
    },
  };
}

function clientText(hostname: string, port: number): string {
  return hostname === "" ? "a local client" : addressText({ transport: "tcp", hostname, port });
}

function topicsText({ topic, topicCount }: SessionEnd): string {
  if (topic === undefined) return "no topic";
  const bytes = encoder.encode(topic);
  const first = `topic ${quoteBytes(bytes, 0, bytes.length)}`;
  return topicCount === 1 ? first : `${first} and ${topicCount - 1} more`;
}

function countFields(counts: ReadonlyMap<string, number>): Record<string, unknown> {
  const text = [...counts].map(([kind, count]) => `${count} ${kind}`).join(", ");
  return { counts: Object.fromEntries(counts), [TEXT]: { counts: text } };
}

function isOrdinary(reason: EndReason): boolean {
  return reason === "client_closed" || reason === "connection_lost" || reason === "published" ||
    reason === "server_shutdown";
}
