import type { CommandLine } from "../../cli/command_line.ts";

/** The flags with a value. Each may stand in the environment and, `config` excepted, in a file. */
export const VALUE_FLAGS = [
  "config",
  "host",
  "port",
  "ws-port",
  "ws-origins",
  "workers",
  "tls-cert",
  "tls-key",
  "log-level",
  "log-format",
  "max-connections",
  "max-connections-per-ip",
  "accept-rate",
  "max-frame-bytes",
  "max-topic-bytes",
  "max-topics",
  "max-topics-total",
  "max-pending-bytes",
  "soft-pending-bytes",
  "soft-pending-time",
  "max-total-pending-bytes",
  "max-memory",
  "publish-from",
  "subscribe-from",
  "publish-from-file",
  "subscribe-from-file",
  "publish-key-file",
  "subscribe-key-file",
  "max-wrong-keys",
  "publish-rate",
  "publish-bytes-rate",
  "write-deadline",
  "ping-after",
  "idle-timeout",
  "legacy-idle-timeout",
  "history-time",
  "history-messages",
  "history-bytes",
  "history-total-bytes",
  "history-topics",
  "history-file",
  "drain-seconds",
  "drain-delay",
  "admin",
  "admin-key-file",
  "metrics-topics",
] as const;

export type ValueFlag = typeof VALUE_FLAGS[number];

/** Those that name files. The task `serve` lets Deno read them. */
export const FILE_FLAGS = [
  "tls-cert",
  "tls-key",
  "publish-from-file",
  "subscribe-from-file",
  "publish-key-file",
  "subscribe-key-file",
  "admin-key-file",
] as const satisfies readonly ValueFlag[];

/** A command line of the server, as it is read. */
export type Line = CommandLine<ValueFlag, "print-config">;
