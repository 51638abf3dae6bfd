/**
 * The flags that name a server and say how to speak with it.
 *
 * @module
 */

import { readKeys } from "../bots/client/keys.ts";
import { type CommandLine, EnvironmentError, UsageError } from "../cli/command_line.ts";
import { demand } from "../cli/permission.ts";
import { readTextFile } from "../cli/text_file.ts";
import { parseAddress } from "../client/connection/address.ts";
import { addressText } from "../runtime/transport_error.ts";
import type { TlsTrust } from "../runtime/types.ts";

/** A server, and how to speak with it. */
export interface ServerOptions {
  readonly hostname: string;
  readonly port: number;
  /** The certificates to accept; `undefined` for plain TCP. */
  readonly tls: TlsTrust | undefined;
  /** The keys to authenticate with. */
  readonly keys: readonly string[];
}

/** The flags with a value. */
export const SERVER_FLAGS = ["host", "port", "ca", "key", "key-file"] as const;

/** The flags' part of `--help`. */
export const SERVER_HELP = `The server:
  --host HOST      its name or address (default localhost)
  --port PORT      its port (default 8081)
  --tls            speak TLS with it; its certificate must be for HOST
  --ca FILE        accept this certificate authority too (PEM); a self-signed
                   certificate is its own authority
  --key-file FILE  show it the first key in FILE; may be given twice
  --key KEY        the same with the key itself; every user of this machine can
                   read it in the list of processes`;

/**
 * Reads the flags.
 *
 * @throws {UsageError} if one is wrong.
 * @throws {EnvironmentError} if a file can't be used, or this program may not connect to the server.
 */
export function serverOptions<Switch extends "tls">(
  line: CommandLine<typeof SERVER_FLAGS[number], Switch | "tls">,
): ServerOptions {
  const hostname = line.text("host") ?? "localhost";
  const port = line.number("port", 1, 65_535) ?? 8081;
  try {
    parseAddress(serverUrl({ hostname, port }));
  } catch {
    throw new UsageError(
      `--host must be a name or an IP address, such as localhost, not ${JSON.stringify(hostname)}`,
    );
  }
  demand({ name: "net", host: addressText({ transport: "tcp", hostname, port }) });
  const ca = line.text("ca");
  if (ca !== undefined && !line.has("tls")) {
    throw new UsageError("--ca is for --tls; give that too");
  }
  const tls = !line.has("tls") ? undefined : {
    serverName: hostname,
    ...ca === undefined ? {} : { ca: readAuthority(ca) },
  };
  return { hostname, port, tls, keys: readKeys(line.all("key"), line.all("key-file")) };
}

/** The URL of a server, as the client library takes it. */
export function serverUrl(
  server: Pick<ServerOptions, "hostname" | "port"> & Partial<ServerOptions>,
): string {
  const address = addressText({ transport: "tcp", ...server });
  // An IPv6 address may have a zone.
  return `${server.tls === undefined ? "hotwheels" : "hotwheelss"}://${
    address.replace("%", "%25")
  }`;
}

function readAuthority(path: string): string {
  const text = readTextFile(`--ca ${path}`, path);
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new EnvironmentError(`--ca ${path} holds no certificate as PEM text`);
}
