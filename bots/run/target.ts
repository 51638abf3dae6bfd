/**
 * Finds the server's addresses.
 *
 * @module
 */

import { lookup } from "node:dns/promises";
import { EnvironmentError } from "../../cli/command_line.ts";
import { isAllowed } from "../../runtime/permissions.ts";
import { type Runtime, TransportError } from "../../runtime/types.ts";
import { Dialler, endpoint, type Port } from "../client/endpoint.ts";
import type { BotsOptions } from "./options.ts";
import { chooseSpread } from "./preflight.ts";
import type { PortRange } from "../../host/facts.ts";

/** The addresses that the bots connect to. */
export interface BotsTarget {
  /** IP addresses that all lead to the server. */
  readonly addresses: readonly string[];
  readonly isLoopback: boolean;
}

/** The addresses that bots may connect to. */
export interface DialRule {
  /** True if this IP address may be. */
  allows(address: string): boolean;
  /** The rule in words, for a message. */
  readonly text: string;
}

/** Milliseconds for a connect: the same as a bot's. */
const PATIENCE_MS = 3000;

const ALLOW_IT = "allow it: deno task bots, or deno run --allow-net";

const SILENT = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };

/**
 * Finds the addresses at which the server answers: the first address of the host that does, and as many
 * after it as the spread asks for. Each is tried with one connection, so that an absent server can be
 * told from an overloaded one.
 *
 * @param rule The addresses that may be tried at all; without it, every one.
 * @throws {EnvironmentError} (rejects) if the server doesn't answer at an address that is needed.
 */
export async function findTarget(
  runtime: Runtime,
  { n, dialect, host, port, tls, spread }: Pick<
    BotsOptions,
    "n" | "dialect" | "host" | "port" | "tls" | "spread"
  >,
  portRange: PortRange | null,
  rule?: DialRule,
): Promise<BotsTarget> {
  const name = host.includes(":") ? `[${host}]` : host;
  const hosts = [name, `${name}:${port}`];
  if (!hosts.some((host) => isAllowed({ name: "net", host }))) {
    throw new EnvironmentError(`no permission to use the network; ${ALLOW_IT}`);
  }
  const found = permitted(await resolve(host), host, rule);
  const first = await firstThatAnswers(runtime, found, { dialect, host, port, tls });
  const isLoopback = first === "::1" || first.startsWith("127.");
  if (!first.startsWith("127.")) {
    if (spread !== "auto" && spread > 1) {
      throw new EnvironmentError(
        `--spread needs an IPv4 loopback address, and ${host} is ${first}`,
      );
    }
    return { addresses: [first], isLoopback };
  }
  const spreadOver = following(first, spread === "auto" ? chooseSpread(n, portRange) : spread);
  const wanted = permitted(spreadOver, host, rule);
  const others = wanted.slice(1);
  const failures = await Promise.all(
    others.map((address) => probe(runtime, address, { dialect, port, tls })),
  );
  const answering = failures.findIndex((failure) => failure !== null);
  if (answering === -1) return { addresses: wanted, isLoopback };
  if (spread === "auto") return { addresses: wanted.slice(0, answering + 1), isLoopback };
  throw new EnvironmentError(
    `${failures[answering]!.message}; --spread ${spread} needs a server that listens on every ` +
      `loopback address, as with --host 0.0.0.0`,
  );
}

/**
 * Those of the addresses that the rule allows.
 *
 * @throws {EnvironmentError} if it allows none.
 */
function permitted(addresses: readonly string[], host: string, rule?: DialRule): string[] {
  const allowed = addresses.filter((address) => rule?.allows(address) ?? true);
  if (rule === undefined || allowed.length > 0) return allowed;
  const which = addresses.includes(host) ? host : `${host} is ${addresses.join(", ")}, and that`;
  throw new EnvironmentError(
    `${which} is outside of --may-dial, which allows ${rule.text}; start the agent with ` +
      `--may-dial ${addresses[0]} to measure a server there`,
  );
}

/** The host's addresses, IPv4 first, because a server on 0.0.0.0 listens there. */
export async function resolve(host: string): Promise<string[]> {
  try {
    const found = await lookup(host, { all: true });
    return found.sort((a, b) => a.family - b.family).map(({ address }) => address);
  } catch (cause) {
    const { code, message } = cause as { code?: string; message: string };
    const problem = code === "ENOTFOUND"
      ? `there is no host ${host}`
      : code === "EPERM"
      ? `no permission to use the network; ${ALLOW_IT}`
      : `can't look up ${host}: ${message}`;
    throw new EnvironmentError(problem, { cause });
  }
}

async function firstThatAnswers(
  runtime: Runtime,
  addresses: readonly string[],
  { dialect, host, port, tls }: Pick<BotsOptions, "dialect" | "host" | "port" | "tls">,
): Promise<string> {
  let failure: TransportError | null = null;
  for (const address of addresses) {
    const failed = await probe(runtime, address, { dialect, port, tls });
    if (failed === null) return address;
    failure ??= failed;
  }
  if (failure?.code === "handshake_failed" && tls === null) {
    throw new EnvironmentError(
      `${failure.message} at ${host}:${port}; ws:// is for a server's --ws-port`,
      { cause: failure },
    );
  }
  if (failure?.code === "handshake_failed") {
    throw new EnvironmentError(
      `${failure.message}; --tls is for a server that speaks TLS, with a certificate for ${host} ` +
        `that --ca FILE vouches for`,
      { cause: failure },
    );
  }
  const remedy = failure?.code === "permission_denied"
    ? ALLOW_IT
    : dialect === "ws"
    ? `start one with --ws-port ${port}, or name another`
    : dialect !== "janus"
    ? "start one, or name another"
    : `start one (deno task serve --port ${port}, or bun run server/main.ts --port ${port}), or ` +
      `name another`;
  throw new EnvironmentError(
    `no server answers at ${host}:${port} (${failure?.message ?? "no address"}); ${remedy}`,
    { cause: failure },
  );
}

async function probe(
  runtime: Runtime,
  hostname: string,
  place: Port & Pick<BotsOptions, "dialect">,
): Promise<TransportError | null> {
  try {
    const dialler = new Dialler(runtime, { isOverWebSocket: place.dialect === "ws" });
    const to = endpoint(hostname, place, PATIENCE_MS);
    // Close in order: to the server, a reset before it has accepted would look like a failure.
    (await dialler.connect(to, () => SILENT)).close();
    return null;
  } catch (error) {
    if (error instanceof TransportError) return error;
    throw error;
  }
}

/** The given IPv4 address and those after it, `count` in all. */
function following(address: string, count: number): string[] {
  const parts = address.split(".");
  const last = Number(parts.pop());
  const room = Math.min(count, 255 - last);
  return Array.from({ length: room }, (_, at) => [...parts, last + at].join("."));
}
