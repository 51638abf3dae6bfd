import type { ConnectOptions, TlsTrust } from "../../runtime/types.ts";

/** A server's port, and how it is spoken to there. */
export interface Port {
  readonly port: number;
  /** The certificates to accept; `null` for a server without TLS. */
  readonly tls: TlsTrust | null;
}

/** The options that connect to a server at one of its addresses. `timeoutMs` is in milliseconds. */
export function endpoint(hostname: string, { port, tls }: Port, timeoutMs: number): ConnectOptions {
  const to = { transport: "tcp", hostname, port, timeoutMs } as const;
  return tls === null ? to : { ...to, tls };
}
