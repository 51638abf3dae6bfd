import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { transportError } from "../transport_error.ts";
import type { TlsIdentity } from "../types.ts";

/** What clients of today take, and what both runtimes' engines can use. */
const minRsaBits = 2048;

/**
 * Finds out whether a listener can use an identity, before one has to.
 *
 * @param what Begins the message, as for {@linkcode transportError}.
 * @param tryHandshake Takes a handshake by it to its end: engines don't know before which keys they can't
 * use.
 * @throws {TransportError} (rejects) with `certificate_unusable`.
 */
export async function tryIdentity(
  identity: TlsIdentity,
  what: string,
  tryHandshake: (identity: TlsIdentity) => Promise<void>,
): Promise<void> {
  try {
    check(identity);
    await tryHandshake(identity);
  } catch (error) {
    throw transportError(what, error, "certificate_unusable");
  }
}

function check({ cert, key }: TlsIdentity): void {
  for (const [name, text] of [["certificate", cert], ["private key", key]] as const) {
    if (!text.includes("-----BEGIN ")) throw new Error(`the ${name} is no PEM text`);
  }
  const privateKey = createPrivateKey(key);
  // Deno makes a context of anything, and says what is wrong only to those who connect.
  if (!new X509Certificate(cert).checkPrivateKey(privateKey)) {
    throw new Error("the private key is another certificate's");
  }
  const bits = privateKey.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < minRsaBits) {
    throw new Error(`the RSA key has ${bits} bits, and ${minRsaBits} are the least`);
  }
  createSecureContext({ cert, key });
}
