/**
 * The command line of the bots.
 *
 * @module
 */

import { isIPv4, isIPv6 } from "node:net";
import { topicProblem } from "../../protocol/topic.ts";
import {
  CommandLine,
  type Question,
  quote,
  UsageError,
  wholeNumber,
} from "../../cli/command_line.ts";
import type { TlsTrust } from "../../runtime/types.ts";
import { createDialect, DEFAULT_PORTS, type DialectName, isJanus } from "../dialects/dialects.ts";
import { DEFAULT_RETRIES } from "../fleet/ramp_up.ts";
import { readAuthority } from "../client/authority.ts";
import { readKeys } from "../client/keys.ts";
import {
  type AgentOptions,
  agentOptions,
  isThisMachine,
  leaderFlags,
  type LeaderOptions,
  leaderOptions,
  refuseAgentFlags,
} from "./agent_options.ts";
import {
  MAX_AGENTS_DATA_BYTES,
  MAX_BOTS,
  MAX_DATA_BYTES,
  MAX_PROCESSES,
  MAX_RETRIES,
  MAX_SPREAD,
} from "./limits.ts";
import {
  refuseStormFlags,
  STORM_ROUNDS,
  type StormOptions,
  stormOptions,
} from "./storm_options.ts";
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
  /** The agents that have the bots; `null` if this machine has them. */
  readonly agents: LeaderOptions | null;
}

/** The parsed command line. */
export type BotsCommand =
  | { readonly does: "run"; readonly options: BotsOptions }
  | { readonly does: "storm"; readonly options: BotsOptions; readonly storm: StormOptions }
  | { readonly does: "serve"; readonly options: AgentOptions }
  | Question;

const MAX_ROUNDS = 10_000;

const VALUE_FLAGS = [
  "agent",
  "agents",
  "agents-ca",
  "ca",
  "json",
  "key",
  "key-file",
  "may-dial",
  "server-key-file",
  "tls-cert",
  "tls-key",
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

const SWITCHES = ["tls", "agents-tls", "storm", "resume", "cut", "verbose"] as const;

/** The bots' command line. */
export type Line = CommandLine<typeof VALUE_FLAGS[number], typeof SWITCHES[number]>;

/** The flags that an agent takes; its leader says all else. */
const AGENT_FLAGS: readonly string[] = ["agent", "key-file", "may-dial", "tls-cert", "tls-key"];

/**
 * Reads the command line.
 *
 * @param args The arguments after the script's name.
 * @throws {UsageError} if an argument isn't as the help describes it.
 */
export function parseCommand(args: readonly string[]): BotsCommand {
  const line: Line = new CommandLine(args, VALUE_FLAGS, SWITCHES);
  if (line.question !== undefined) return line.question;
  if (line.text("agent") !== undefined) {
    refuseOthers(line);
    return { does: "serve", options: agentOptions(line) };
  }

  refuseAgentFlags(line);
  const leader = leaderFlags(line);
  const [n, host, port] = line.upTo(3, "n, host and port are all");
  const server = serverAddress(host ?? "localhost", port);
  const options: BotsOptions = {
    n: n === undefined ? 1 : wholeNumber(n, "n", 1, MAX_BOTS),
    dialect: server.dialect,
    host: server.host,
    port: server.port ?? DEFAULT_PORTS[server.dialect],
    tls: trust(line, server),
    keys: keysFor(line, server.dialect),
    agents: leader === null ? null : leaderOptions(leader),
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
  checkAgents(options);
  if (line.has("storm")) {
    return { does: "storm", options, storm: stormOptions(line, server.dialect) };
  }
  refuseStormFlags(line);
  return { does: "run", options };
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
  return file === undefined
    ? { serverName: host }
    : { serverName: host, ca: readAuthority("--ca", file) };
}

/** An agent's other flags and arguments would be its leader's. */
function refuseOthers(line: Line): void {
  const flags = VALUE_FLAGS.filter((flag) => !AGENT_FLAGS.includes(flag) && line.isTyped(flag));
  const switches = SWITCHES.filter((flag) => line.has(flag));
  const [other] = [...line.positionals, ...[...flags, ...switches].map((flag) => `--${flag}`)];
  if (other === undefined) return;
  throw new UsageError(`an agent is told by its leader what to do; leave out ${quote(other)}`);
}

function checkAgents({ n, agents, keys, data }: BotsOptions): void {
  if (agents === null) return;
  const { places, tls } = agents;
  if (n < places.length) {
    throw new UsageError(`n must be at least the number of agents, ${places.length}, not ${n}`);
  }
  if (new TextEncoder().encode(data).length > MAX_AGENTS_DATA_BYTES) {
    throw new UsageError(
      `agents take data of up to ${MAX_AGENTS_DATA_BYTES} bytes; give --size or --data less`,
    );
  }
  if (keys.length > 0 && tls === null && !places.every(({ host }) => isThisMachine(host))) {
    throw new UsageError(
      "the server's keys go to agents on other machines over TLS only; give --agents-tls too",
    );
  }
}

/** With agents, `--key-file` is theirs. */
function keysFor(line: Line, dialect: DialectName): string[] {
  const serverKeyFiles = line.all("server-key-file");
  const hasAgents = line.text("agents") !== undefined;
  if (!hasAgents && serverKeyFiles.length > 0) {
    throw new UsageError("--server-key-file is for --agents; without them it's --key-file");
  }
  const keys = hasAgents
    ? readKeys(line.all("key"), serverKeyFiles, "--server-key-file")
    : readKeys(line.all("key"), line.all("key-file"));
  if (keys.length === 0 || isJanus(dialect)) return keys;
  throw new UsageError(`keys are for Janus servers; leave yours out to measure ${dialect}`);
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
