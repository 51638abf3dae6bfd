import { isReadByAll, readTextFile } from "../runtime/text_file.ts";
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
 * @param warn Told in a line what is unwise about them.
 * @throws {EnvironmentError} if one can't be read.
 * @throws {TransportError} if they can't be used.
 */
export function readIdentity(
  { cert, key }: TlsFiles,
  warn: (line: string) => void,
): TlsIdentity {
  const identity = {
    cert: readTextFile(`--tls-cert ${cert}`, cert),
    key: readTextFile(`--tls-key ${key}`, key),
  };
  checkIdentity(identity, `--tls-cert ${cert} with --tls-key ${key}`);
  if (isReadByAll(key)) warn(`every user of this machine may read --tls-key ${key}: chmod o-r it`);
  return identity;
}
