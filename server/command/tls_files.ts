import { X509Certificate } from "node:crypto";
import { counted } from "../../cli/counted.ts";
import { isReadByAll, readTextFile } from "../../cli/text_file.ts";
import type { Runtime, TlsIdentity } from "../../runtime/types.ts";

/** The paths of a certificate and its key. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

/** Days before its expiry from which the server warns about a certificate. */
const RENEWAL_DAYS = 14;

const DAY_MS = 24 * 3_600_000;

/**
 * Reads both files, and checks that the runtime can use them.
 *
 * @param warn Receives one line for each weakness.
 * @throws {EnvironmentError} (rejects) if one can't be read.
 * @throws {TransportError} (rejects) if they can't be used.
 */
export async function readIdentity(
  runtime: Runtime,
  { cert, key }: TlsFiles,
  warn: (line: string) => void,
): Promise<TlsIdentity> {
  const identity = {
    cert: readTextFile(`--tls-cert ${cert}`, cert),
    key: readTextFile(`--tls-key ${key}`, key),
  };
  await runtime.tryIdentity(identity, `--tls-cert ${cert} with --tls-key ${key}`);
  for (const warning of lifetimeWarnings(identity.cert, Date.now())) {
    warn(`--tls-cert ${cert}: ${warning}`);
  }
  if (isReadByAll(key)) warn(`every user of this machine may read --tls-key ${key}: chmod o-r it`);
  return identity;
}

/** Warnings about certificates that have expired, expire soon, or aren't valid yet: one line for each. */
export function lifetimeWarnings(pem: string, nowMs: number): string[] {
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ??
    [];
  return certificates.flatMap((text, at) => {
    const { validFrom, validTo } = new X509Certificate(text);
    const which = at === 0 ? "the certificate" : `certificate ${at + 1} in it`;
    const [fromMs, toMs] = [Date.parse(validFrom), Date.parse(validTo)];
    if (nowMs > toMs) return [`${which} expired on ${dayOf(toMs)}: clients refuse it`];
    if (nowMs < fromMs) {
      return [`${which} isn't valid before ${dayOf(fromMs)}: clients refuse it until then`];
    }
    const days = Math.floor((toMs - nowMs) / DAY_MS);
    if (days >= RENEWAL_DAYS) return [];
    return [`${which} expires on ${dayOf(toMs)}, in ${counted(days, "day")}: renew it`];
  });
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
