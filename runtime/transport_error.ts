/**
 * Shared by both adapters: names addresses, and turns a runtime's errors into {@linkcode TransportError}.
 *
 * @module
 */

import { type Address, TransportError, type TransportErrorCode } from "./types.ts";

const codes: Readonly<Record<string, TransportErrorCode>> = {
  EADDRINUSE: "address_in_use",
  EADDRNOTAVAIL: "address_not_available",
  ECONNREFUSED: "connection_refused",
  ECONNABORTED: "connection_reset",
  ECONNRESET: "connection_reset",
  ENOTCONN: "connection_reset",
  EPIPE: "connection_reset",
  EMFILE: "descriptors_exhausted",
  ENFILE: "descriptors_exhausted",
  EAI_AGAIN: "host_not_found",
  EAI_FAIL: "host_not_found",
  EAI_NODATA: "host_not_found",
  EAI_NONAME: "host_not_found",
  ENODATA: "host_not_found",
  ENOTFOUND: "host_not_found",
  ENOENT: "not_found",
  EACCES: "permission_denied",
  EPERM: "permission_denied",
  ETIMEDOUT: "timed_out",
  EAFNOSUPPORT: "unsupported",
  EOPNOTSUPP: "unsupported",
  EPROTONOSUPPORT: "unsupported",
};

/** Deno's errors that come without an errno code, by class. */
const names: Readonly<Record<string, TransportErrorCode>> = {
  AddrInUse: "address_in_use",
  AddrNotAvailable: "address_not_available",
  ConnectionRefused: "connection_refused",
  ConnectionReset: "connection_reset",
  NotCapable: "permission_denied",
  NotFound: "not_found",
  PermissionDenied: "permission_denied",
  TimedOut: "timed_out",
  TimeoutError: "timed_out",
};

const words: Readonly<Record<Exclude<TransportErrorCode, "other">, string>> = {
  address_in_use: "the address is in use",
  address_not_available: "this machine has no such address",
  certificate_unusable: "the certificate and its key can't be used",
  connection_refused: "the connection was refused",
  connection_reset: "the peer aborted the connection",
  descriptors_exhausted: "too many open files; raise the limit (ulimit -n)",
  handshake_failed: "the TLS handshake failed",
  host_not_found: "no such host",
  not_found: "no such file",
  permission_denied: "permission denied",
  timed_out: "timed out",
  unsupported: "not supported by this system",
};

/** The code for a runtime's own error. */
export function transportErrorCode(cause: unknown): TransportErrorCode {
  if (!(cause instanceof Error)) return "other";
  const code = (cause as { code?: unknown }).code;
  if (typeof code === "string" && codes[code] !== undefined) return codes[code];
  if (names[cause.name] !== undefined) return names[cause.name]!;
  // Neither code nor class distinguishes Deno's failed look-ups.
  return cause.message.includes("failed to lookup address") ? "host_not_found" : "other";
}

/**
 * Wraps a runtime's error.
 *
 * @param what The beginning of the message: the action and the address, such as `cannot listen on
 * [::1]:8081`.
 */
export function transportError(
  what: string,
  cause: unknown,
  code: TransportErrorCode = transportErrorCode(cause),
): TransportError {
  // Deno's sandbox knows best which permission is missing, and which flag grants it.
  const isSandbox = cause instanceof Error && cause.name === "NotCapable";
  const own = String(cause instanceof Error ? cause.message : cause).split("\n", 1)[0];
  const why = code === "other" || isSandbox
    ? own
    : code === "certificate_unusable" || code === "handshake_failed"
    ? `${words[code]} (${own})`
    : words[code];
  return new TransportError(code, `${what}: ${why}`, { cause });
}

/** The error that closes an accepted connection whose handshake failed. */
export function handshakeError(cause: unknown): TransportError {
  return transportError("no secure connection", cause, "handshake_failed");
}

/** An address as people write it: `127.0.0.1:8081`, `[::1]:8081` or a path. */
export function addressText(address: Address): string {
  if (address.transport === "unix") return address.path;
  const { hostname, port } = address;
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** @throws {RangeError} if the port is out of range: a mistake of the program, not of the network. */
export function checkPort(address: Address): void {
  if (address.transport === "unix") return;
  const { port } = address;
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new RangeError(`port must be an integer from 0 to 65535, is ${port}`);
  }
}

/** Turns the address of an IPv4 peer on a dual-stack listener (`::ffff:192.0.2.1`) into IPv4. */
export function plainIp(ip: string): string {
  return ip.startsWith("::ffff:") && ip.includes(".") ? ip.slice(7) : ip;
}
