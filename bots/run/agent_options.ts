/**
 * The part of the command line that is about agents.
 *
 * @module
 */

import { isIPv4, isIPv6 } from "node:net";
import { quote, UsageError, wholeNumber } from "../../cli/command_line.ts";
import { readAuthority } from "../client/authority.ts";
import { firstKeyIn } from "../client/keys.ts";
import { MAX_AGENTS } from "./limits.ts";
import { parseHostAndPort } from "./server_address.ts";

/** A command line that may name agents. */
interface LeaderLine {
  text(name: "agents" | "agents-ca" | "key-file"): string | undefined;
  has(name: "agents-tls"): boolean;
}

/** A command line that may make an agent. */
interface AgentLine {
  text(name: "agent" | "key-file" | "may-dial" | "tls-cert" | "tls-key"): string | undefined;
  isTyped(name: "may-dial" | "tls-cert" | "tls-key"): boolean;
}

/** An agent's address. */
export interface AgentPlace {
  readonly host: string;
  readonly port: number;
  /** Both, as they were given. */
  readonly name: string;
}

/** The agents of a run, as its leader knows them. */
export interface LeaderOptions {
  readonly places: readonly AgentPlace[];
  /** The key that agents and leader have in common. */
  readonly key: string;
  /** The certificates to accept from agents; `null` for plain TCP. */
  readonly tls: { readonly ca?: string } | null;
}

/** The options of an agent. */
export interface AgentOptions {
  readonly hostname: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** The file with the key that leaders have to know. */
  readonly keyFile: string;
  /** The blocks of addresses that bots may connect to; `undefined` for the default. */
  readonly mayDial: string | undefined;
  /** The files of its certificate and key; `null` for plain TCP. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
}

/** A leader's flags, before the files are read. */
export interface LeaderFlags {
  readonly agents: string;
  readonly keyFile: string;
  readonly isSecure: boolean;
  /** The file of a certificate authority. */
  readonly authority?: string;
}

/**
 * Reads the flags of a leader; `null` without agents.
 *
 * @throws {UsageError} if anything in them isn't as the help says.
 */
export function leaderFlags(line: LeaderLine): LeaderFlags | null {
  const agents = line.text("agents");
  const authority = line.text("agents-ca");
  const isSecure = line.has("agents-tls");
  if (agents === undefined) {
    const alone = authority !== undefined ? "agents-ca" : isSecure ? "agents-tls" : null;
    if (alone !== null) throw new UsageError(`--${alone} is for --agents; give those too`);
    return null;
  }
  const keyFile = line.text("key-file");
  if (keyFile === undefined) {
    throw new UsageError("--agents needs --key-file FILE, with the key that the agents have");
  }
  if (authority !== undefined && !isSecure) {
    throw new UsageError("--agents-ca is for --agents-tls; give that too");
  }
  parsePlaces(agents);
  return { agents, keyFile, isSecure, ...authority === undefined ? {} : { authority } };
}

/**
 * Reads the files of a leader.
 *
 * @throws {EnvironmentError} if one can't be used.
 */
export function leaderOptions(
  { agents, keyFile, isSecure, authority }: LeaderFlags,
): LeaderOptions {
  const ca = authority === undefined ? {} : { ca: readAuthority("--agents-ca", authority) };
  return {
    places: parsePlaces(agents),
    key: firstKeyIn(keyFile),
    tls: isSecure ? ca : null,
  };
}

/** Refuses the flags of an agent where there is none. */
export function refuseAgentFlags(line: AgentLine): void {
  for (const flag of ["may-dial", "tls-cert", "tls-key"] as const) {
    if (line.isTyped(flag)) throw new UsageError(`--${flag} is for an agent; give --agent too`);
  }
}

/** True if a host's name or address is this machine's own. */
export function isThisMachine(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

/**
 * Parses the addresses of agents, with commas in between.
 *
 * @throws {UsageError} if one isn't `host:port`, or is there twice.
 */
export function parsePlaces(text: string): AgentPlace[] {
  const places = text.split(",").map((name): AgentPlace => {
    const { host, port } = isIPv6(name) ? { host: name, port: null } : parseHostAndPort(name);
    if (port !== null) return { host, port, name };
    throw new UsageError(`--agents takes host:port,host:port, and ${quote(name)} has no port`);
  });
  const names = places.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new UsageError(`--agents has ${quote(twice)} twice`);
  if (places.length > MAX_AGENTS) {
    throw new UsageError(`--agents takes ${MAX_AGENTS} agents at most, not ${places.length}`);
  }
  return places;
}

/**
 * Reads the flags of an agent.
 *
 * @throws {UsageError} if anything in them isn't as the help says.
 */
export function agentOptions(line: AgentLine): AgentOptions {
  const keyFile = line.text("key-file");
  if (keyFile === undefined) {
    throw new UsageError("--agent needs --key-file FILE, with a key that its leaders have too");
  }
  const [cert, key] = [line.text("tls-cert"), line.text("tls-key")];
  if ((cert === undefined) !== (key === undefined)) {
    const [given, missing] = cert === undefined ? ["key", "cert"] : ["cert", "key"];
    throw new UsageError(`--tls-${given} needs --tls-${missing} too`);
  }
  return {
    ...listenAddress(line.text("agent")!),
    keyFile,
    mayDial: line.text("may-dial"),
    tls: cert === undefined || key === undefined ? null : { cert, key },
  };
}

function listenAddress(text: string): { hostname: string; port: number } {
  const [, host = "", port = ""] = /^(?:(.*):)?(\d+)$/.exec(text) ?? [];
  const hostname = host === "" ? "0.0.0.0" : host.replace(/^\[(.*)\]$/, "$1");
  if (port === "" || !/^[^\s/]+$/.test(hostname) || isIPv6(text)) {
    throw new UsageError(`--agent must be PORT or HOST:PORT, not ${quote(text)}`);
  }
  return { hostname, port: wholeNumber(port, "--agent's port", 0, 65_535) };
}
