import type { ConnectOptions, TlsTrust } from "../../runtime/types.ts";

/** Where a server listens, but for the address. */
export interface Port {
  readonly port: number;
  /** Whom to believe, where the server speaks TLS. */
  readonly tls: TlsTrust | null;
}

/** How to connect to a server at one of its addresses. */
export function endpoint(hostname: string, { port, tls }: Port, timeoutMs: number): ConnectOptions {
  const to = { transport: "tcp", hostname, port, timeoutMs } as const;
  return tls === null ? to : { ...to, tls };
}
