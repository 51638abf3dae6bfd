import { isIP } from "node:net";

/** The address of an admin port. */
export interface AdminAddress {
  readonly hostname: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

const LOOPBACK = "127.0.0.1";
const MAX_PORT = 65_535;

/**
 * Reads `HOST:PORT`, `[IPV6]:PORT`, `:PORT` or `PORT`; without a host it is the loopback address.
 *
 * @returns `undefined` if the text is none of these.
 */
export function parseAdminAddress(text: string): AdminAddress | undefined {
  const [, bracketed, plain, digits = ""] =
    /^(?:(?:\[([^[\]\s]+)\]|([^:[\]\s/]*)):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === "" || port > MAX_PORT) return undefined;
  if (bracketed !== undefined && isIP(bracketed) !== 6) return undefined;
  return { hostname: bracketed ?? (plain || LOOPBACK), port };
}

/** True if only programs on this machine can reach an address. */
export function isLoopback(hostname: string): boolean {
  if (isIP(hostname) === 4) return hostname.startsWith("127.");
  return hostname === "::1" || hostname.toLowerCase() === "localhost";
}
