import { CertificateError } from "../api/errors.ts";

/** Certificates as Node and Bun name their faults, and as Deno does. */
const CERTIFICATE_FAULT = new RegExp(
  "CERT_|_CERT|UNABLE_TO_|ALTNAME|SELF_SIGNED|certificate|UnknownIssuer|NotValidForName",
);

/**
 * The error of a connection that a certificate has ended, if one has.
 *
 * @param words What the runtime says of the failure.
 * @param trust What lets the certificate be trusted, as the beginning of a sentence.
 */
export function certificateFault(
  url: string,
  words: string,
  trust: string,
  cause?: unknown,
): CertificateError | undefined {
  if (!CERTIFICATE_FAULT.test(words)) return undefined;
  const remedy = `${trust}, connect by a name that the certificate has, or renew it`;
  return new CertificateError(url, `The certificate of ${url} is no good: ${words}`, remedy, {
    cause,
  });
}
