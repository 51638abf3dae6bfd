import { UrlError } from "../api/errors.ts";

const DEFAULT_PORT = 8081;

/** The URL of a server, taken apart. */
export interface ServerAddress {
  /** As it was given. */
  readonly url: string;
  readonly transport: "tcp" | "web-socket";
  readonly isSecure: boolean;
  /** A name or an IP address; IPv6 without its brackets, with its zone as in `fe80::1%eth0`. */
  readonly hostname: string;
  readonly port: number;
}

const SCHEMES: Readonly<Record<string, Pick<ServerAddress, "transport" | "isSecure">>> = {
  "hotwheels:": { transport: "tcp", isSecure: false },
  "hotwheelss:": { transport: "tcp", isSecure: true },
  "ws:": { transport: "web-socket", isSecure: false },
  "wss:": { transport: "web-socket", isSecure: true },
};

const EXAMPLE =
  "Write hotwheels://HOST:PORT or hotwheelss://HOST:PORT (TLS) for the server's port, " +
  "ws://HOST:PORT or wss://HOST:PORT for its WebSocket port";

/** An IPv6 address with a zone (RFC 6874), which URLs of the web can't have. */
const ZONE = /^(hotwheelss?:\/\/\[[\da-f:.]+)%25([\w.~-]+)\]/i;

/**
 * A host as the DNS has it, which knows no letters but ASCII's; empty if it can't be one. The URLs of schemes
 * that aren't the web's have it escaped.
 */
function dnsName(hostname: string): string {
  try {
    return new URL(`ws://${hostname}`).hostname;
  } catch {
    return "";
  }
}

/** Takes a server's URL apart. @throws {UrlError} if it can't be one. */
export function parseAddress(given: string | URL): ServerAddress {
  const url = String(given);
  const zone = ZONE.exec(url)?.[2];
  let parsed: URL;
  try {
    parsed = new URL(url.replace(ZONE, "$1]"));
  } catch (cause) {
    throw new UrlError(url, `${JSON.stringify(url)} is not a URL`, EXAMPLE, { cause });
  }
  const scheme = Object.hasOwn(SCHEMES, parsed.protocol) ? SCHEMES[parsed.protocol]! : undefined;
  const fault = scheme === undefined
    ? `has the scheme ${parsed.protocol}`
    : parsed.hostname === ""
    ? "has no host"
    : dnsName(parsed.hostname) === ""
    ? "has a host that can't be one"
    : parsed.username + parsed.password !== ""
    ? "has a user or a password"
    : parsed.hash !== "" ||
        scheme.transport === "tcp" && !/^\/?$/.test(parsed.pathname + parsed.search)
    ? "has more than a host and a port"
    : undefined;
  if (scheme === undefined || fault !== undefined) {
    throw new UrlError(url, `${JSON.stringify(url)} ${fault}`, EXAMPLE);
  }
  return {
    url,
    ...scheme,
    hostname: dnsName(parsed.hostname).replace(/^\[(.*)\]$/, "$1") +
      (zone === undefined ? "" : `%${zone}`),
    port: parsed.port === "" ? DEFAULT_PORT : Number(parsed.port),
  };
}
