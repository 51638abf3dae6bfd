/**
 * The TLS identities of tests' listeners: two, each its own authority, and one that has expired.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { TlsIdentity, TlsTrust } from "../../runtime/types.ts";

const folder = fileURLToPath(import.meta.resolve("./certificates/"));

/** The path of a certificate or key among the tests' own. */
export function identityFile(name: "first" | "second" | "expired", kind: "crt" | "key"): string {
  return `${folder}${name}.${kind}`;
}

function identity(name: "first" | "second"): TlsIdentity {
  return {
    cert: readFileSync(identityFile(name, "crt"), "utf8"),
    key: readFileSync(identityFile(name, "key"), "utf8"),
  };
}

export const FIRST: TlsIdentity = identity("first");
export const SECOND: TlsIdentity = identity("second");

/** Believes that identity only. */
export function trustIn({ cert }: TlsIdentity, serverName = "localhost"): TlsTrust {
  return { ca: cert, serverName };
}
