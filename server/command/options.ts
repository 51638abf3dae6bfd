/**
 * The command line of the server.
 *
 * @module
 */

import { availableParallelism } from "node:os";
import {
  CommandLine,
  type Question,
  quote,
  type SettingsSource,
  UsageError,
  wholeNumber,
} from "../../cli/command_line.ts";
import { SettingsFile } from "../../cli/settings/file.ts";
import { MAX_WORKERS } from "../../host/capacity.ts";
import { parseCidr } from "../access/cidr.ts";
import type { Limits } from "../limits.ts";
import { minMemoryBytes } from "../limits/derived.ts";
import { LOG_FORMATS, type LogFormat } from "../log/format.ts";
import { LOG_LEVELS, type LogLevel } from "../log/log.ts";
import { type WebSocketOptions, webSocketOptions } from "./web_socket_options.ts";
import { type AdminCommandOptions, adminOptions } from "./admin_options.ts";
import { FILE_FLAGS, type Line, VALUE_FLAGS, type ValueFlag } from "./flags.ts";
import { parseLimits } from "./limit_options.ts";
import { type ClusterCommandOptions, clusterOptions } from "./cluster_options.ts";
import type { TlsFiles } from "./tls_files.ts";

/** The parsed command line. */
export type ServerCommand =
  | {
    /** `print_config`: say what would be in force. */
    readonly does: "serve" | "print_config";
    readonly options: CommandOptions;
    /** The place that a flag's value is from, such as `HOTWHEELS_PORT`; `undefined` for a default. */
    sourceOf(flag: ValueFlag): string | undefined;
  }
  | Question;

/** The options of a server's command line. */
export interface CommandOptions extends AdminCommandOptions {
  readonly host: string;
  readonly port: number;
  /** The port for WebSockets; `undefined` for none. */
  readonly webSocket: WebSocketOptions | undefined;
  /** The number of processes that share the port. */
  readonly workers: number;
  /** The files of the certificate and its key; `undefined` for plain TCP. */
  readonly tls: TlsFiles | undefined;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Blocks of addresses that may publish. */
  readonly publishFrom: readonly string[] | undefined;
  readonly subscribeFrom: readonly string[] | undefined;
  /** Files with further blocks, one on each line. */
  readonly publishFromFile: string | undefined;
  readonly subscribeFromFile: string | undefined;
  /** Files with keys, one on each line. */
  readonly publishKeyFile: string | undefined;
  readonly subscribeKeyFile: string | undefined;
  /** The file in which stored messages outlast a graceful stop. */
  readonly historyFile: string | undefined;
  /** The cluster to join; `undefined` for none. */
  readonly cluster: ClusterCommandOptions | undefined;
  /** Milliseconds over which a stop closes the connections; `undefined` for the default. */
  readonly drainMs: number | undefined;
  /** Milliseconds for which the server goes on before a stop, while it says that it isn't ready. */
  readonly drainDelayMs: number;
  /** The limits that the command line sets. */
  readonly limits: Partial<Limits>;
}

/** An hour. A longer time is most likely a mistake. */
const MAX_DRAIN_SECONDS = 3_600;

/**
 * Reads the command line, and the file of settings that it names.
 *
 * @param args The arguments behind the script's name.
 * @param environment The flags in the environment; none unless given.
 * @throws {UsageError} if anything in them isn't as `--help` says.
 * @throws {EnvironmentError} if the file of settings can't be read.
 */
export function parseCommand(
  args: readonly string[],
  environment?: () => SettingsSource,
): ServerCommand {
  const line: Line = new CommandLine(args, VALUE_FLAGS, ["print-config"]);
  if (line.question !== undefined) return line.question;
  line.upTo(0, "there are only flags");
  if (environment !== undefined) line.fallBackOn(environment());
  const file = line.text("config");
  if (file !== undefined) {
    const names = VALUE_FLAGS.filter((flag) => flag !== "config");
    line.fallBackOn(new SettingsFile(file, { names, files: FILE_FLAGS }));
  }
  const port = line.number("port", 0, 65_535) ?? 8081;
  const options: CommandOptions = {
    host: hostName(line),
    port,
    webSocket: webSocketOptions(line, port),
    workers: workerCount(line),
    tls: tlsFiles(line),
    logLevel: line.choice("log-level", LOG_LEVELS) ?? "info",
    logFormat: line.choice("log-format", LOG_FORMATS) ?? "text",
    publishFrom: networks(line, "publish-from"),
    subscribeFrom: networks(line, "subscribe-from"),
    publishFromFile: line.text("publish-from-file"),
    subscribeFromFile: line.text("subscribe-from-file"),
    publishKeyFile: line.text("publish-key-file"),
    subscribeKeyFile: line.text("subscribe-key-file"),
    historyFile: line.text("history-file"),
    cluster: clusterOptions(line),
    drainMs: seconds(line, "drain-seconds", MAX_DRAIN_SECONDS),
    drainDelayMs: seconds(line, "drain-delay", MAX_DRAIN_SECONDS) ?? 0,
    ...adminOptions(line),
    limits: parseLimits(line),
  };
  checkMemory(options);
  return {
    does: line.has("print-config") ? "print_config" : "serve",
    options,
    sourceOf: (flag) => line.text(flag) === undefined ? undefined : line.nameOf(flag),
  };
}

function checkMemory({ limits: { maxMemoryBytes = Infinity }, workers }: CommandOptions): void {
  const least = minMemoryBytes(workers);
  if (maxMemoryBytes >= least) return;
  const whom = workers === 1 ? "a server" : `a server of ${workers} workers`;
  throw new UsageError(
    `--max-memory ${maxMemoryBytes} is too little for ${whom}, which takes ${least} at least; ` +
      `raise it${workers === 1 ? "" : ", or lower --workers"}`,
  );
}

/** A flag's value in whole seconds, as milliseconds. */
function seconds(line: Line, name: ValueFlag, max: number): number | undefined {
  const seconds = line.number(name, 0, max);
  return seconds === undefined ? undefined : seconds * 1000;
}

/** A flag's blocks of addresses, separated by commas. */
function networks(line: Line, name: ValueFlag): string[] | undefined {
  const blocks = line.text(name)?.split(",");
  for (const block of blocks ?? []) {
    try {
      parseCidr(block);
    } catch {
      throw new UsageError(
        `${line.nameOf(name)} must list addresses such as 192.0.2.0/24 or 2001:db8::/32, ` +
          `not ${quote(block)}`,
      );
    }
  }
  return blocks;
}

function workerCount(line: Line): number {
  const text = line.text("workers");
  const name = line.nameOf("workers");
  if (text === undefined) return 1;
  if (text === "auto") return workersFor(availableParallelism());
  if (/^\d+$/.test(text)) return wholeNumber(text, name, 1, MAX_WORKERS);
  throw new UsageError(`${name} must be a number or auto, not ${quote(text)}`);
}

/** The number of workers that `--workers auto` means on a machine with so many processors. */
export function workersFor(processors: number): number {
  return Math.min(processors, MAX_WORKERS);
}

function tlsFiles(line: Line): TlsFiles | undefined {
  const [cert, key] = [line.text("tls-cert"), line.text("tls-key")];
  if (cert !== undefined && key !== undefined) return { cert, key };
  if (cert === undefined && key === undefined) return undefined;
  const [given, missing] = cert === undefined
    ? ["tls-key", "tls-cert"] as const
    : ["tls-cert", "tls-key"] as const;
  throw new UsageError(`${line.nameOf(given)} needs --${missing} too`);
}

function hostName(line: Line): string {
  const host = line.text("host") ?? "0.0.0.0";
  if (/^[^\s/]+$/.test(host)) return host;
  throw new UsageError(`${line.nameOf("host")} must be a name or an address, not ${quote(host)}`);
}
