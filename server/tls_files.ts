import { readTextFile } from "../runtime/text_file.ts";
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
  const identity = {
    cert: readTextFile(`--tls-cert ${cert}`, cert),
    key: readTextFile(`--tls-key ${key}`, key),
  };
  checkIdentity(identity, `--tls-cert ${cert} with --tls-key ${key}`);
  return identity;
}
