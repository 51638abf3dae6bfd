import { UrlError } from "../api/errors.ts";

const DEFAULT_PORT = 8081;

/** The URL of a server, taken apart. */
export interface ServerAddress {
  /** As it was given. */
  readonly url: string;
  readonly transport: "tcp" | "web-socket";
  readonly isSecure: boolean;
  /** A name or an IP address; IPv6 without its brackets. */
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

/** Takes a server's URL apart. @throws {UrlError} if it can't be one. */
export function parseAddress(given: string | URL): ServerAddress {
  const url = String(given);
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw new UrlError(url, `${JSON.stringify(url)} is not a URL`, EXAMPLE, { cause });
  }
  const scheme = Object.hasOwn(SCHEMES, parsed.protocol) ? SCHEMES[parsed.protocol]! : undefined;
  const fault = scheme === undefined
    ? `has the scheme ${parsed.protocol}`
    : parsed.hostname === ""
    ? "has no host"
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
    hostname: parsed.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: parsed.port === "" ? DEFAULT_PORT : Number(parsed.port),
  };
}
