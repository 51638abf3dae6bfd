import { readFileSync } from "node:fs";
import { EnvironmentError } from "../runtime/command_line.ts";
import type { TlsIdentity } from "../runtime/types.ts";

/** Where a certificate and its key are. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

/**
 * Reads both.
 *
 * @throws {EnvironmentError} if one can't be read.
 */
export function readIdentity({ cert, key }: TlsFiles): TlsIdentity {
  return { cert: read("--tls-cert", cert), key: read("--tls-key", key) };
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
