/**
 * What the server logs: to standard error, one line an event.
 *
 * @module
 */

import { configure, getLogger, getTextFormatter, type Logger } from "@logtape/logtape";
import process from "node:process";
import type { EndReason } from "./counters.ts";
import type { ServerEvents } from "./server.ts";

/** From the most to the least. */
export const LOG_LEVELS = ["debug", "info", "warning", "error"] as const;
export type LogLevel = typeof LOG_LEVELS[number];

/** Sends the log to standard error. To be called once by a command; a library never does. */
export async function configureLog(level: LogLevel): Promise<void> {
  const format = getTextFormatter({
    timestamp: "rfc3339",
    level: "full",
    category: ".",
    // Deno and Bun quote differently when they inspect.
    value: (value) => typeof value === "string" ? value : JSON.stringify(value),
  });
  // A reader of the log that goes away must not take the server with it.
  process.stderr.on("error", () => {});
  await configure({
    sinks: { stderr: (record) => process.stderr.write(format(record)) },
    loggers: [
      { category: "hotwheels", lowestLevel: level, sinks: ["stderr"] },
      { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["stderr"] },
    ],
  });
}

/**
 * The server's events as log lines. Clients that come and go, before they are accepted too, are
 * `debug`; those that the server ended are `warning`, with who, why and how much waited for them.
 */
export function logEvents(logger: Logger = getLogger("hotwheels")): ServerEvents {
  return {
    onSessionEnd(remoteAddress, reason, pendingBytes, detail) {
      const client = remoteAddress === "" ? "a local client" : remoteAddress;
      const fields = { client, reason, pendingBytes, detail };
      if (isOrdinary(reason)) {
        logger.debug("{client} ended: {reason}, {pendingBytes} bytes waiting", fields);
      } else {
        logger.warn("closed {client}: {reason}, {pendingBytes} bytes waiting: {detail}", fields);
      }
    },
    onThrottled(remoteAddress, publishRate) {
      const client = remoteAddress === "" ? "a local client" : remoteAddress;
      const fields = { client, publishRate };
      logger.info(
        "slowed {client}: it publishes more than {publishRate} messages a second",
        fields,
      );
    },
    onAcceptError(error) {
      const text = "a connection could not be accepted: {message}";
      const { code, message } = error;
      // Whoever connects and aborts does so by the thousand: not for that may a log fill up.
      if (code === "connection_reset") logger.debug(text, { message });
      else logger.error(text, { message });
    },
  };
}

function isOrdinary(reason: EndReason): boolean {
  return reason === "client_closed" || reason === "connection_lost" || reason === "published" ||
    reason === "server_shutdown";
}
