import { addressText } from "../../runtime/transport_error.ts";
import type { Limits } from "../limits.ts";
import { shownServers } from "./cluster_options.ts";
import type { ValueFlag } from "./flags.ts";
import type { CommandOptions } from "./options.ts";

/** The configuration in force. */
export interface Configuration {
  readonly options: CommandOptions;
  /** All limits, those that follow from the machine too. */
  readonly limits: Limits;
  /** The place that a flag's value is from; `undefined` for a default. */
  sourceOf(flag: ValueFlag): string | undefined;
}

/** A value as a file of settings has it; `undefined` if there is none. */
type Value = string | number | readonly string[] | undefined;

/**
 * The value in force of each flag. A flag that holds a secret itself has no place here: `cluster` is shown without
 * a user and a password.
 */
const VALUES: Readonly<Record<Exclude<ValueFlag, "config">, (of: Configuration) => Value>> = {
  "host": ({ options }) => options.host,
  "port": ({ options }) => options.port,
  "ws-port": ({ options }) => options.webSocket?.port,
  "ws-origins": ({ options }) => options.webSocket?.origins,
  "workers": ({ options }) => options.workers,
  "tls-cert": ({ options }) => options.tls?.cert,
  "tls-key": ({ options }) => options.tls?.key,
  "max-connections": ({ limits }) => limits.maxConnections,
  "max-connections-per-ip": ({ limits }) => limits.maxConnectionsPerIp,
  "accept-rate": ({ limits }) => limits.acceptRate,
  "max-frame-bytes": ({ limits }) => limits.maxFrameBytes,
  "max-topic-bytes": ({ limits }) => limits.maxTopicBytes,
  "max-topics": ({ limits }) => limits.maxTopics,
  "max-topics-total": ({ limits }) => limits.maxTopicsTotal,
  "max-pending-bytes": ({ limits }) => limits.maxPendingBytes,
  "soft-pending-bytes": ({ limits }) => limits.softPendingBytes,
  "soft-pending-time": ({ limits }) => timeText(limits.softPendingMs),
  "max-total-pending-bytes": ({ limits }) => limits.maxTotalPendingBytes,
  "max-memory": ({ limits }) => limits.maxMemoryBytes,
  "publish-from": ({ options }) => options.publishFrom,
  "subscribe-from": ({ options }) => options.subscribeFrom,
  "publish-from-file": ({ options }) => options.publishFromFile,
  "subscribe-from-file": ({ options }) => options.subscribeFromFile,
  "publish-key-file": ({ options }) => options.publishKeyFile,
  "subscribe-key-file": ({ options }) => options.subscribeKeyFile,
  "max-wrong-keys": ({ limits }) => limits.maxWrongKeys,
  "publish-rate": ({ limits }) => limits.publishRate,
  "publish-bytes-rate": ({ limits }) => limits.publishBytesRate,
  "write-deadline": ({ limits }) => timeText(limits.writeDeadlineMs),
  "ping-after": ({ limits }) => timeText(limits.pingAfterMs),
  "idle-timeout": ({ limits }) => timeText(limits.idleMs),
  "legacy-idle-timeout": ({ limits }) => timeText(limits.legacyIdleMs),
  "history-time": ({ limits }) => timeText(limits.historyMs),
  "history-messages": ({ limits }) => limits.historyMessages,
  "history-bytes": ({ limits }) => limits.historyBytes,
  "history-total-bytes": ({ limits }) => limits.historyTotalBytes,
  "history-topics": ({ limits }) => limits.historyTopics,
  "history-file": ({ options }) => options.historyFile,
  "cluster": ({ options: { cluster } }) => cluster && shownServers(cluster),
  "cluster-name": ({ options }) => options.cluster?.name,
  "cluster-credentials": ({ options }) => options.cluster?.credentialsFile,
  "cluster-ca": ({ options }) => options.cluster?.caFile,
  "cluster-log-bytes": ({ options }) => options.cluster?.logBytes,
  "cluster-log-time": ({ options }) => timeText(options.cluster?.logMs),
  "drain-seconds": ({ options: { drainMs } }) => drainMs === undefined ? undefined : drainMs / 1000,
  "drain-delay": ({ options }) => options.drainDelayMs / 1000,
  "admin": ({ options }) => options.admin && addressText({ transport: "tcp", ...options.admin }),
  "admin-key-file": ({ options }) => options.adminKeyFile,
  "metrics-topics": ({ options: { metricsTopics } }) =>
    metricsTopics.length === 0 ? undefined : metricsTopics,
  "log-level": ({ options }) => options.logLevel,
  "log-format": ({ options }) => options.logFormat,
};

/**
 * The configuration as a file for `--config`. A comment behind each value says where it is from, and flags
 * without a value are comments.
 */
export function configurationText(of: Configuration): string {
  const lines = Object.entries(VALUES).map(([flag, valueOf]) => {
    const value = valueOf(of);
    if (value === undefined) return `  // "${flag}" has no value`;
    const source = of.sourceOf(flag as ValueFlag) ?? "default";
    const asked = flag === "max-connections" ? of.options.limits.maxConnections : undefined;
    const cut = asked !== undefined && asked !== value
      ? `, which asks for ${asked}: the descriptor limit allows fewer`
      : "";
    return `  "${flag}": ${JSON.stringify(value)}, // ${source}${cut}`;
  });
  return ["{", ...lines, "}"].join("\n");
}

function timeText(ms: number | undefined): string | undefined {
  if (ms === undefined) return undefined;
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}
