import { readFileSync } from "node:fs";
import { EnvironmentError } from "../runtime/command_line.ts";
import { checkIdentity } from "../runtime/tls_identity.ts";
import type { TlsIdentity } from "../runtime/types.ts";

/** Where a certificate and its key are. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

/**
 * Reads both, and looks whether they can be used.
 *
 * @throws {EnvironmentError} if one can't be read.
 * @throws {TransportError} if they can't be used.
 */
export function readIdentity({ cert, key }: TlsFiles): TlsIdentity {
  const identity = { cert: read("--tls-cert", cert), key: read("--tls-key", key) };
  checkIdentity(identity, `--tls-cert ${cert} with --tls-key ${key}`);
  return identity;
}

function read(flag: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const { message } = cause as Error;
    throw new EnvironmentError(`can't read ${flag} ${path}: ${message.split("\n", 1)[0]}`, {
      cause,
    });
  }
}
