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
import { MIN_FRAME_LIMIT_BYTES } from "../../protocol/client_decoder.ts";
import { parseCidr } from "../access/cidr.ts";
import { DEFAULT_LIMITS, type Limits } from "../limits.ts";
import { minMemoryBytes } from "../limits/derived.ts";
import { LOG_FORMATS, type LogFormat } from "../log/format.ts";
import { LOG_LEVELS, type LogLevel } from "../log/log.ts";
import { type WebSocketOptions, webSocketOptions } from "./web_socket_options.ts";
import { type AdminCommandOptions, adminOptions } from "./admin_options.ts";
import type { TlsFiles } from "./tls_files.ts";

/** The parsed command line. */
export type ServerCommand =
  | {
    /** `print_config`: say what would be in force. */
    readonly does: "serve" | "print_config";
    readonly options: ServerOptions;
    /** The place that a flag's value is from, such as `HOTWHEELS_PORT`; `undefined` for a default. */
    sourceOf(flag: ValueFlag): string | undefined;
  }
  | Question;

/** The options of a server's command line. */
export interface ServerOptions extends AdminCommandOptions {
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
  /** Milliseconds over which a stop closes the connections; `undefined` for the default. */
  readonly drainMs: number | undefined;
  /** Milliseconds for which the server goes on before a stop, while it says that it isn't ready. */
  readonly drainDelayMs: number;
  /** The limits that the command line sets. */
  readonly limits: Partial<Limits>;
}

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
const FILE_FLAGS = [
  "tls-cert",
  "tls-key",
  "publish-from-file",
  "subscribe-from-file",
  "publish-key-file",
  "subscribe-key-file",
  "admin-key-file",
] as const satisfies readonly ValueFlag[];

/** An hour. A longer time is most likely a mistake. */
const MAX_DRAIN_SECONDS = 3_600;

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** The text that `--help` prints. */
export const HELP = `Hotwheels: a Janus publish/subscribe server over TCP.

Usage:
  hotwheels serve [flags]
  deno task -q serve [flags]
  bun run server/main.ts [flags]

Where:
  --host HOST          the address to listen on (default 0.0.0.0, every IPv4
                       interface; :: for IPv6 too)
  --port PORT          the port (default 8081; 0 lets the system choose one)
  --ws-port PORT       accept WebSockets there too (default: none; 0 lets the
                       system choose one). With --tls-cert they are wss://
  --ws-origins ORIGIN,...
                       web pages that may connect there, such as
                       https://example.com, example.com for any scheme, or * for
                       all (default: pages of the same host, from any port).
                       Programs that aren't browsers may in any case
  --workers N          share the port among N processes (default 1), or auto for
                       one a core; 64 at most, either way. Each has a descriptor
                       limit of its own. Linux only; elsewhere one serves

TLS, for all connections:
  --tls-cert FILE      the certificate and the intermediate ones up to its root,
                       as PEM
  --tls-key FILE       its private key, as PEM

Limits, of all workers together. Workers lend each other places that they don't
need. They can't lend memory, of which each has its share
(--max-total-pending-bytes, --max-memory), nor descriptors: a worker without
free descriptors refuses connections, even if others have some:
  --max-connections N  connections at once (default: what the descriptor limit
                       leaves)
  --max-connections-per-ip N
                       the same from one address, with IPv6 from one /64
                       (default: 32 or a tenth less than --max-connections,
                       whichever leaves more)
  --accept-rate N      connections a second from one address, and twice as many
                       at once (default 10000, or half of --max-connections
                       where that is more)
  --max-frame-bytes B  one frame or message (default 65536)
  --max-topic-bytes B  one topic's name, at most 256 (default 256)
  --max-topics N       topics that one connection may subscribe to (default 128)
  --max-topics-total N topics that have subscribers at once; a topic counts once
                       on each worker that has it (default 100000)
  --max-pending-bytes B
                       bytes that may wait for one connection at once (default
                       8388608)
  --soft-pending-bytes B
                       bytes that may wait for one connection for longer than
                       --soft-pending-time (default 1048576)
  --soft-pending-time TIME
                       see --soft-pending-bytes (default 10s)
  --max-total-pending-bytes B
                       memory that all connections together may use, in bytes; a
                       message for many subscribers counts once (default
                       268435456, or a quarter of --max-memory if that is less)
  --max-memory B       memory that the server may take in bytes, garbage
                       included, at least 134217728 for each process (default:
                       three quarters of what the machine or the container has;
                       1 GiB if that isn't known). Near it, the server collects
                       garbage, then reads less, then closes the clients that
                       hold most, then refuses connections

Access (default: everybody may publish and subscribe; with addresses and keys a
client needs both):
  --publish-from CIDR,...
                       addresses that may publish, such as
                       10.0.0.0/8,2001:db8::/32
  --subscribe-from CIDR,...
                       the same for subscribing
  --publish-from-file FILE
                       further addresses, one on each line; a # begins a comment
  --subscribe-from-file FILE
                       the same for subscribing
  --publish-key-file FILE
                       keys in UTF-8, one on each line. A line that begins with
                       # is a comment; write a key that begins with # as \\#. A
                       client must authenticate with a key before it publishes
  --subscribe-key-file FILE
                       the same for subscribing
  --max-wrong-keys N   wrong keys from one address in a minute; then all its
                       keys, right ones too, are answered slowly (default 10)

Of each connection:
  --publish-rate N     messages a second that it may publish, and as many at
                       once; beyond that it's read no faster, and loses nothing
                       (default: as many as it can while no other waits)

Deadlines, such as 800ms, 5s, 5m or 1h:
  --write-deadline TIME
                       a connection is closed if it takes no byte of what waits
                       for it for so long (default 10s)
  --ping-after TIME    a client that is silent so long gets a PING (default 30s)
  --idle-timeout TIME  a client that stays silent for so long after a PING is
                       closed; a new connection has as long for its first
                       complete frame (default 30s)
  --legacy-idle-timeout TIME
                       a subscriber that began with <regular-socket/> is closed
                       after so much silence, without a word (default: never)

History, for subscribers that come back:
  --history-time TIME  messages are stored for so long (default 60s; 0 stores
                       none)
  --history-messages N messages of one topic that are stored (default 1000)
  --history-bytes B    bytes of one topic that are stored (default 1048576)
  --history-total-bytes B
                       memory for all stored messages in bytes, of which each
                       worker has its share (default 67108864). It counts within
                       --max-total-pending-bytes, and is given up first
  --history-topics PATTERN,...
                       the topics whose messages are stored; * stands for any
                       run of characters (default *)
  --history-file FILE  a graceful stop writes what is stored there, and the next
                       start reads and removes it, so that a restart loses no
                       client's place (default: none)
Watching it (see docs/operating.md):
  --admin HOST:PORT    answer HTTP there: a live page (/), /metrics for
                       Prometheus, /status.json, /trace, /livez and /readyz.
                       PORT alone means 127.0.0.1, and :0 lets the system choose
                       (default: nowhere)
  --admin-key-file FILE
                       keys, one on each line, of which its clients must show
                       one; needed for an address that other machines reach
  --metrics-topics TOPIC,...
                       topics that /metrics counts by name, 50 at most

Stopping:
  --drain-seconds N    how long it takes to close all connections, one by one
                       (default: a second for every 5000 of them, and 4 at most;
                       0 closes them at once)
  --drain-delay N      seconds for which the server goes on accepting after the
                       signal, while /readyz says that it's stopping, for load
                       balancers that look only now and then (default 0)

Configuration:
  --config FILE        flags in a file: JSON with comments, an object such as
                       { "port": 8081, "publish-from": ["10.0.0.0/8"] }.
                       Relative paths in it begin at its folder
  --print-config       print each flag's value in force and where it is from, as
                       a file for --config, and end. Keys are in files of their
                       own, which are named and not read

Others:
  --log-level LEVEL    debug, info, warning or error: the least that is logged
                       to standard error (default info)
  --log-format FORMAT  text, or json: an object a line, with time, level and
                       message, and where they apply worker, address, port,
                       reason, topic, pending_bytes, age_ms and more (default
                       text)
  -h, --help           print this
  --version            print the version

A flag with a value may also be a variable of the environment, such as
HOTWHEELS_MAX_CONNECTIONS for --max-connections. The command line counts first,
then the environment, then the file. An empty variable counts as none; one that
begins with HOTWHEELS_ and stands for no flag is an error.

A client that passes a limit gets an error frame with the reason and is closed;
no other client is affected. A client of 2009, which begins with
<regular-socket/>, is closed without an error frame.

SIGINT or SIGTERM stops gracefully: the server accepts no more connections,
delivers what it has accepted, tells clients server_shutdown and when to come
back, and ends with status 0, within 10 s, --drain-seconds and --drain-delay. A
second signal, half a second later or more, ends it at once.

SIGHUP reads the files of keys, addresses and the certificate again, and does
nothing else. New connections get the new rules, live ones keep what they have.
A file that can't be read or used is logged, and its old contents stay in force.

SIGUSR2 replaces the workers, one after the other, by what is on disk now. Each
successor serves before its predecessor is asked to end, and clients of the
other workers notice nothing. If a successor doesn't come up, no other worker
is replaced: the log says why, and all serve on. The first process itself stays
as it is, with its flags.

The exit status is 1 when the server can't run here (port in use, no
permission), 2 when the command line is wrong.

Examples:
  deno task -q serve --port 8081 --workers 2
  deno task -q serve --tls-cert server.crt --tls-key server.key
  bun run server/main.ts --publish-key-file keys
`;

/**
 * Reads the command line, and the file of settings that it names.
 *
 * @param args The arguments behind the script's name.
 * @param environment The flags in the environment; none unless given.
 * @throws {UsageError} if anything in them isn't as {@linkcode HELP} says.
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
  const options: ServerOptions = {
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

type Line = CommandLine<ValueFlag, "print-config">;

function parseLimits(line: Line): Partial<Limits> {
  const limits = definedOnly({
    maxConnections: line.number("max-connections", 1, 1_000_000),
    maxConnectionsPerIp: line.number("max-connections-per-ip", 1, 1_000_000),
    acceptRate: line.number("accept-rate", 1, 1_000_000),
    maxFrameBytes: line.number("max-frame-bytes", MIN_FRAME_LIMIT_BYTES, 64 * MIB),
    maxTopicBytes: line.number("max-topic-bytes", 1, DEFAULT_LIMITS.maxTopicBytes),
    maxTopics: line.number("max-topics", 1, 1_000_000),
    maxTopicsTotal: line.number("max-topics-total", 1, 100_000_000),
    maxPendingBytes: line.number("max-pending-bytes", KIB, 64 * GIB),
    softPendingBytes: line.number("soft-pending-bytes", KIB, 64 * GIB),
    softPendingMs: milliseconds(line, "soft-pending-time"),
    maxTotalPendingBytes: line.number("max-total-pending-bytes", KIB, 1024 * GIB),
    maxMemoryBytes: line.number("max-memory", KIB, 1024 * GIB),
    maxWrongKeys: line.number("max-wrong-keys", 1, 1_000_000),
    publishRate: line.number("publish-rate", 1, 1_000_000_000),
    publishBytesRate: line.number("publish-bytes-rate", KIB, 1024 * GIB),
    writeDeadlineMs: milliseconds(line, "write-deadline"),
    pingAfterMs: milliseconds(line, "ping-after"),
    idleMs: milliseconds(line, "idle-timeout"),
    legacyIdleMs: milliseconds(line, "legacy-idle-timeout"),
    historyMs: historyTime(line),
    historyMessages: line.number("history-messages", 1, 100_000_000),
    historyBytes: line.number("history-bytes", 1, 64 * GIB),
    historyTotalBytes: line.number("history-total-bytes", 1, 1024 * GIB),
    historyTopics: patterns(line),
  });
  const { maxFrameBytes, maxPendingBytes } = { ...DEFAULT_LIMITS, ...limits };
  if (maxPendingBytes < maxFrameBytes) {
    throw new UsageError(
      `--max-pending-bytes ${maxPendingBytes} is less than --max-frame-bytes ${maxFrameBytes}: ` +
        `the largest message would close every subscriber; raise the one or lower the other`,
    );
  }
  return limits;
}

function checkMemory({ limits: { maxMemoryBytes = Infinity }, workers }: ServerOptions): void {
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

/** A flag's time in whole milliseconds. */
function milliseconds(line: Line, name: ValueFlag): number | undefined {
  const time = line.duration(name);
  return time === undefined ? undefined : Math.ceil(time);
}

/** The time for which messages are stored, which may be none. */
function historyTime(line: Line): number | undefined {
  const isNone = /^0(?:ms|s|m|h)?$/.test(line.text("history-time") ?? "");
  return isNone ? 0 : milliseconds(line, "history-time");
}

function patterns(line: Line): string[] | undefined {
  const patterns = line.text("history-topics")?.split(",");
  if (!patterns?.includes("")) return patterns;
  const name = line.nameOf("history-topics");
  const text = quote(line.text("history-topics") as string);
  throw new UsageError(
    `${name} must list topics such as news,chat.* without an empty one, not ${text}`,
  );
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

function definedOnly<T extends object>(
  values: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const defined = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(defined) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
