import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { transportError } from "./transport_error.ts";
import type { TlsIdentity } from "./types.ts";

/**
 * Finds out whether a listener can use an identity, before one has to.
 *
 * @param what Begins the message, as for {@linkcode transportError}.
 * @throws {TransportError} with `certificate_unusable`.
 */
export function checkIdentity(identity: TlsIdentity, what: string): void {
  const { cert, key } = identity;
  try {
    for (const [name, text] of [["certificate", cert], ["private key", key]] as const) {
      if (!text.includes("-----BEGIN ")) throw new Error(`the ${name} is no PEM text`);
    }
    // Deno makes a context of anything, and says what is wrong only to those who connect.
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
      throw new Error("the private key is another certificate's");
    }
    createSecureContext({ cert, key });
  } catch (error) {
    throw transportError(what, error, "certificate_unusable");
  }
}
