/**
 * The command line of the bots.
 *
 * @module
 */

import { isIPv4, isIPv6 } from "node:net";
import { topicProblem } from "../../protocol/topic.ts";
import {
  CommandLine,
  EnvironmentError,
  type Question,
  quote,
  UsageError,
  wholeNumber,
} from "../../cli/command_line.ts";
import { readTextFile } from "../../cli/text_file.ts";
import type { TlsTrust } from "../../runtime/types.ts";
import { createDialect, DEFAULT_PORTS, type DialectName } from "../dialects/dialects.ts";
import { DEFAULT_RETRIES } from "../fleet/ramp_up.ts";
import { firstKeyIn, readKeys } from "../client/keys.ts";
import { MAX_BOTS, MAX_DATA_BYTES } from "./limits.ts";
import { parseHostAndPort, parseServerUrl, type ServerAddress } from "./server_address.ts";

/** The options of a run. */
export interface BotsOptions {
  /** The number of bots. */
  readonly n: number;
  /** The protocol that the server speaks. */
  readonly dialect: DialectName;
  /** The server's name or address. */
  readonly host: string;
  readonly port: number;
  /** The certificates to accept; `null` for a server without TLS. */
  readonly tls: TlsTrust | null;
  /** The keys to authenticate with, as a client of today; none for a client of 2009. */
  readonly keys: readonly string[];
  /** The number of messages, which are published one after another, each to all bots. */
  readonly rounds: number;
  readonly topic: string;
  /** The message's `data`. */
  readonly data: string;
  /** Milliseconds that each bot has to receive a message, from its publish. */
  readonly timeoutMs: number;
  /**
   * The number of times that a bot which can't get subscribed tries again; with `"forever"` also a bot
   * that lost its subscription.
   */
  readonly retries: number | "forever";
  /** The number of processes. `"auto"` takes as many as the cores and the descriptor limit call for. */
  readonly processes: number | "auto";
  /**
   * The number of consecutive loopback addresses to connect to. `"auto"` takes as many as the port range
   * calls for.
   */
  readonly spread: number | "auto";
  /** Milliseconds within which the last bot must have the message; `null` for no such limit. */
  readonly sloMs: number | null;
  /** The file for the JSON report, `-` for standard output, or `null` for none. */
  readonly json: string | null;
  /** Prints the long text. */
  readonly isVerbose: boolean;
}

/** The options of a storm. */
export interface StormOptions {
  /** True if the bots break their connections themselves. */
  readonly cuts: boolean;
  /** True if the bots come back with their positions, and messages are published meanwhile. */
  readonly resumes: boolean;
  /** Milliseconds from one of these messages to the next. */
  readonly everyMs: number;
  /** The server's admin port, which knows its processor time; `null` for none. */
  readonly admin: { readonly url: string; readonly key: string | null } | null;
}

/** The parsed command line. */
export type BotsCommand =
  | { readonly does: "run"; readonly options: BotsOptions }
  | { readonly does: "storm"; readonly options: BotsOptions; readonly storm: StormOptions }
  | Question;

const MAX_ROUNDS = 10_000;
const MAX_RETRIES = 1_000_000;
/** Each process is a whole runtime of some 50 MB. */
const MAX_PROCESSES = 256;
/** With some 28,000 ports for each address this is over seven million connections. */
const MAX_SPREAD = 254;

const VALUE_FLAGS = [
  "ca",
  "json",
  "key",
  "key-file",
  "rounds",
  "topic",
  "data",
  "size",
  "timeout",
  "retries",
  "processes",
  "spread",
  "slo",
  "every",
  "admin",
  "admin-key-file",
] as const;

/** Flags for the messages of a run and of a storm whose bots resume; and for those of a run only. */
const MESSAGE_FLAGS = ["rounds", "data", "size"] as const;
const LATENCY_FLAGS = ["timeout", "slo"] as const;

/** Flags for a storm only. */
const STORM_FLAGS = ["every", "admin", "admin-key-file"] as const;

/** The number of messages that are published in a storm whose bots resume. */
const STORM_ROUNDS = 100;

const STORM_EVERY_MS = 20;

const SWITCHES = ["tls", "storm", "resume", "cut", "verbose"] as const;

type Line = CommandLine<typeof VALUE_FLAGS[number], typeof SWITCHES[number]>;

/** The text of `--help`. */
export const HELP = `Hotwheels bots: connect n clients, publish one message, and measure when
the last of them has it.

Usage:
  hotwheels bots [n] [host] [port] [flags]
  deno task -q bots [n] [host] [port] [flags]
  bun run bots/main.ts [n] [host] [port] [flags]

  n                how many bots (default 1)
  host             the server's name or address (default localhost); or
                   ws://host:port for its port for WebSockets, wss:// with TLS;
                   or nats://host:port or redis://host:port for a server that
                   speaks another protocol
  port             its port (default 8081), also as host:port

Flags:
  --rounds R       publish R messages, one after another (default 1)
  --topic TOPIC    subscribe and publish to TOPIC (default events)
  --data TEXT      the message's data (default test)
  --size BYTES     data of that many bytes instead
  --timeout TIME   how long a bot waits for a message, such as 800ms, 5s or 1m
                   (default 5s)
  --retries N      how often a bot that can't get subscribed tries again
                   (default 20); forever: until Ctrl-C, also a bot that lost
                   its subscription, as the bots of 2009 did
  --processes P    share the bots among P processes; auto (the default) takes as
                   many as the descriptor limit and the cores call for, and one
                   for fewer than 2,000 bots
  --spread K       connect to K consecutive loopback addresses from the given
                   one on, to get past the port range (some 28,000 connections
                   for each address); auto (the default) does so where the
                   server is on this machine, n calls for it and they answer
  --tls            speak TLS with the server, whose certificate must be for host
  --ca FILE        accept this certificate authority too (PEM); a self-signed
                   certificate is its own authority
  --key-file FILE  show the server the first key in FILE, as clients of today
                   can; twice where publishing and subscribing take one each
  --key KEY        the same with the key itself; every user of this machine
                   can read it in the list of processes
  --slo TIME       fail unless every message reached its last bot within TIME,
                   such as 1s
  --storm          publish nothing, but wait until the bots lose their
                   connections, as when the server is restarted, and measure
                   how they come back
  --resume         with --storm: the bots come back with their positions, and
                   from the first loss on messages are published, --rounds R
                   (default 100); measure what they missed, and when the last
                   of them has it
  --every TIME     time from one of these messages to the next (default 20ms)
  --cut            with --storm: break all connections from here, at once,
                   instead of waiting for the server
  --admin URL      with --storm: measure the server's processor time, too, by
                   its admin port, such as http://127.0.0.1:8082
  --admin-key-file FILE
                   show the admin port the first key in FILE
  --json FILE      write the report as JSON to FILE too; - for standard output,
                   which sends the text to standard error
  --verbose        print more: how the bots subscribed, each round's counts,
                   and how busy the bots were
  -h, --help       print this
  --version        print the version

A bot connects (within 3 s; it tries again after a random 1-100 ms, and after up
to 2 s from the 20th time on), subscribes, and checks each message byte by byte.
When all are subscribed and nothing arrives any more, one more connection
publishes.
Latencies are exact, by nearest rank over all samples, and come by two clocks:
from the server's timestamp in the message, and from the publish to the arrival,
both on this machine.

In a storm, a bot that lost its connection comes back when the server told it to
(retry_after_ms), or else after a random time of up to 0.5 s, which doubles with
each failure, to 10 s at most. With --resume each bot to whom the server said
that nothing is lost (recovered) must have every message, once.

The exit status is 0 when every bot received every message, once, intact and in
time, and --slo held, or when all came back from the storm and got what the
server promised; 1 when not, or when the run couldn't take place; 2 when the
command line is wrong; 3 when the run is invalid, which makes it no measure of
the server: a bot never subscribed, or the bots themselves held messages up.

Examples:
  deno task -q bots 5000
  deno task -q bots 20000 10.0.0.7 8081 --rounds 5 --slo 1s
  deno task -q bots 5000 127.0.0.1 --storm --resume --cut
  bun run bots/main.ts 100000 127.0.0.1 --spread 4 --json report.json
`;

/**
 * Reads the command line.
 *
 * @param args The arguments after the script's name.
 * @throws {UsageError} if an argument isn't as {@linkcode HELP} describes it.
 */
export function parseCommand(args: readonly string[]): BotsCommand {
  const line = new CommandLine(args, VALUE_FLAGS, [...SWITCHES]);
  if (line.question !== undefined) return line.question;

  const [n, host, port] = line.upTo(3, "n, host and port are all");
  const server = serverAddress(host ?? "localhost", port);
  const options: BotsOptions = {
    n: n === undefined ? 1 : wholeNumber(n, "n", 1, MAX_BOTS),
    dialect: server.dialect,
    host: server.host,
    port: server.port ?? DEFAULT_PORTS[server.dialect],
    tls: trust(line, server),
    keys: keysFor(line, server.dialect),
    rounds: line.number("rounds", 1, MAX_ROUNDS) ?? (line.has("storm") ? STORM_ROUNDS : 1),
    topic: topicName(line.text("topic") ?? "events", server.dialect),
    data: dataOf(line),
    timeoutMs: line.duration("timeout") ?? 5000,
    retries: numberOr("forever", line, "retries", [0, MAX_RETRIES]) ?? DEFAULT_RETRIES,
    processes: numberOr("auto", line, "processes", [1, MAX_PROCESSES]) ?? "auto",
    spread: numberOr("auto", line, "spread", [1, MAX_SPREAD]) ?? "auto",
    sloMs: line.duration("slo") ?? null,
    json: line.text("json") ?? null,
    isVerbose: line.has("verbose"),
  };
  checkSpread(options);
  if (line.has("storm")) return { does: "storm", options, storm: stormOptions(line, server) };
  const given = [
    ...(["resume", "cut"] as const).filter((flag) => line.has(flag)),
    ...STORM_FLAGS.filter((flag) => line.text(flag) !== undefined),
  ];
  if (given[0] !== undefined) throw new UsageError(`--${given[0]} is for --storm; give that too`);
  return { does: "run", options };
}

function stormOptions(line: Line, { dialect }: ServerAddress): StormOptions {
  const resumes = line.has("resume");
  if (resumes && !isJanus(dialect)) {
    throw new UsageError(`--resume is for Janus servers; leave it out to measure ${dialect}`);
  }
  for (const flag of resumes ? LATENCY_FLAGS : [...MESSAGE_FLAGS, ...LATENCY_FLAGS]) {
    if (line.text(flag) === undefined) continue;
    const why = resumes
      ? "a run without --storm"
      : "messages, and --storm publishes none without --resume";
    throw new UsageError(`--${flag} is for ${why}; leave one out`);
  }
  if (!resumes && line.text("every") !== undefined) {
    throw new UsageError("--every is for --resume; give that too");
  }
  return {
    cuts: line.has("cut"),
    resumes,
    everyMs: line.duration("every") ?? STORM_EVERY_MS,
    admin: adminPort(line),
  };
}

function adminPort(line: Line): StormOptions["admin"] {
  const text = line.text("admin");
  const file = line.text("admin-key-file");
  if (text === undefined) {
    if (file !== undefined) throw new UsageError("--admin-key-file is for --admin; give that too");
    return null;
  }
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(
      `--admin must be the address of an admin port, such as http://127.0.0.1:8082, not ${
        quote(text)
      }`,
    );
  }
  return { url: url.origin, key: file === undefined ? null : firstKeyIn(file, "--admin-key-file") };
}

function serverAddress(host: string, port: string | undefined): ServerAddress {
  const ownPort = port === undefined ? null : wholeNumber(port, "the port", 1, 65_535);
  const server = host.includes("://") ? parseServerUrl(host) : {
    dialect: "janus" as const,
    ...isIPv6(host) ? { host, port: null } : parseHostAndPort(host),
  };
  if (server.port !== null && ownPort !== null) {
    throw new UsageError(`the port stands in ${quote(host)} already; leave out ${quote(port!)}`);
  }
  return { ...server, port: server.port ?? ownPort };
}

function trust(line: Line, { dialect, host, isSecure }: ServerAddress): TlsTrust | null {
  const file = line.text("ca");
  if (!line.has("tls") && !isSecure) {
    if (file !== undefined) throw new UsageError("--ca is for --tls; give that too");
    return null;
  }
  if (!isJanus(dialect)) {
    throw new UsageError(`--tls is for Janus servers; leave it out to measure ${dialect}`);
  }
  return file === undefined ? { serverName: host } : { serverName: host, ca: readAuthority(file) };
}

function isJanus(dialect: DialectName): boolean {
  return dialect === "janus" || dialect === "ws";
}

function keysFor(line: Line, dialect: DialectName): string[] {
  const keys = readKeys(line.all("key"), line.all("key-file"));
  if (keys.length === 0 || isJanus(dialect)) return keys;
  throw new UsageError(`keys are for Janus servers; leave yours out to measure ${dialect}`);
}

function readAuthority(path: string): string {
  const text = readTextFile(`--ca ${path}`, path);
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new EnvironmentError(`--ca ${path} holds no certificate as PEM text`);
}

function topicName(topic: string, dialect: DialectName): string {
  const problem = topicProblem(topic);
  if (problem !== undefined) throw new UsageError(`--topic ${quote(topic)} ${problem}`);
  try {
    createDialect(dialect, { topic, data: "" });
    return topic;
  } catch {
    throw new UsageError(`--topic ${quote(topic)} is no topic in ${dialect}; such as events`);
  }
}

function dataOf(line: Line): string {
  const data = line.text("data");
  const size = line.number("size", 1, MAX_DATA_BYTES);
  if (size === undefined) return data ?? "test";
  if (data !== undefined) throw new UsageError("--data and --size exclude each other; give one");
  return "x".repeat(size);
}

function numberOr<Word extends string>(
  word: Word,
  line: Line,
  name: "retries" | "processes" | "spread",
  [min, max]: readonly [min: number, max: number],
): number | Word | undefined {
  const text = line.text(name);
  if (text === undefined) return undefined;
  if (text === word) return word;
  if (/^\d+$/.test(text)) return wholeNumber(text, `--${name}`, min, max);
  throw new UsageError(`--${name} must be a number or ${word}, not ${quote(text)}`);
}

function checkSpread({ host, spread }: BotsOptions): void {
  if (spread === "auto" || spread === 1 || host === "localhost") return;
  const last = Number(host.split(".")[3]) + spread - 1;
  if (!isIPv4(host) || !host.startsWith("127.") || last > 254) {
    throw new UsageError(
      `--spread ${spread} needs a loopback address with ${spread - 1} more behind it, such as ` +
        `127.0.0.1, not ${quote(host)}`,
    );
  }
}
