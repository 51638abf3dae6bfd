/**
 * Parses the server's address on a command line.
 *
 * @module
 */

import { quote, UsageError, wholeNumber } from "../../cli/command_line.ts";
import { DEFAULT_PORTS, type DialectName } from "../dialects/dialects.ts";

/** A server's address and protocol. */
export interface ServerAddress {
  readonly dialect: DialectName;
  /** True if the address asks for TLS; absent otherwise. */
  readonly isSecure?: true;
  /** The server's name or address. */
  readonly host: string;
  /** `null` if none is given. */
  readonly port: number | null;
}

/**
 * Parses an address such as `nats://host:port`. The port may be left out; an IPv6 address stands in
 * brackets.
 *
 * @throws {UsageError} if it is anything else.
 */
export function parseServerUrl(text: string): ServerAddress {
  const match = /^(\w+):\/\/([^/?#]*)\/?$/.exec(text);
  const isSecure = match?.[1] === "wss";
  const scheme = isSecure ? "ws" : match?.[1];
  const dialect = (Object.keys(DEFAULT_PORTS) as DialectName[]).find((name) => name === scheme);
  if (match === null || dialect === undefined) {
    const schemes = Object.keys(DEFAULT_PORTS).map((name) => `${name}://host:port`).join(", ");
    throw new UsageError(`a server's address is one of ${schemes}, not ${quote(text)}`);
  }
  const place = match[2]!;
  if (place.includes("@")) {
    throw new UsageError(
      "bots don't log in: the address can't hold a user or a password; " +
        "measure a server, or a user, that needs none",
    );
  }
  const address = { dialect, ...parseHostAndPort(place, text) };
  return isSecure ? { ...address, isSecure } : address;
}

/**
 * Parses `host:port` or `host`; an IPv6 address with a port stands in brackets.
 *
 * @param whole The text to quote in an error message.
 * @throws {UsageError} if it is anything else.
 */
export function parseHostAndPort(
  place: string,
  whole: string = place,
): { host: string; port: number | null } {
  const match = /^(?:\[([\da-f:.]+)\]|([^\s:/[\]]+))(?::(.*))?$/i.exec(place);
  if (match === null) throw new UsageError(`${quote(whole)} doesn't name a host`);
  const port = match[3] === undefined
    ? null
    : wholeNumber(match[3], `the port of ${quote(whole)}`, 1, 65_535);
  return { host: (match[1] ?? match[2])!, port };
}
