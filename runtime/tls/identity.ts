import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { transportError } from "../transport_error.ts";
import type { TlsIdentity } from "../types.ts";

/** The shortest RSA key that today's clients accept and both engines can use, in bits. */
const minRsaBits = 2048;

/**
 * Checks whether a listener can use an identity, before one is started with it.
 *
 * @param what The beginning of the message, as for {@linkcode transportError}.
 * @param tryHandshake Completes a handshake with the identity: only then do engines say which keys they
 * can't use.
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
  // Deno makes a context of anything, and reports errors only to clients that connect.
  if (!new X509Certificate(cert).checkPrivateKey(privateKey)) {
    throw new Error("the private key is another certificate's");
  }
  const bits = privateKey.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < minRsaBits) {
    throw new Error(`the RSA key has ${bits} bits, and ${minRsaBits} are the least`);
  }
  createSecureContext({ cert, key });
}
