/**
 * A handshake of Bun's sockets with themselves: whether a listener can use a certificate and its key, it
 * says only then.
 *
 * @module
 */

import { randomUUID } from "node:crypto";
import process from "node:process";
import { TLS_SUITES } from "./tls_suites.ts";
import type { TlsIdentity } from "../types.ts";

/** How long it may take; it takes some milliseconds. */
const patienceMs = 10_000;

/**
 * Takes a handshake to its end.
 *
 * @throws {Error} (rejects) when it fails, with what the engine says.
 */
export async function tryHandshake({ cert, key }: TlsIdentity): Promise<void> {
  const ignored = { data() {} };
  // A service may not be allowed to listen on any other port than its own.
  const where = process.platform === "linux"
    ? { unix: `\0hotwheels-${randomUUID()}` }
    : { hostname: "127.0.0.1", port: 0 };
  const listener = Bun.listen({
    ...where,
    tls: { cert, key, ciphers: TLS_SUITES },
    socket: ignored,
  } as unknown as Bun.TCPSocketListenOptions<undefined>);
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error("the handshake stands still")), patienceMs);
      const failed = (error?: unknown) =>
        reject(error instanceof Error ? error : new Error("the handshake failed"));
      Bun.connect({
        ...where,
        ..."port" in where ? { port: listener.port } : {},
        tls: { rejectUnauthorized: false },
        socket: {
          data() {},
          handshake(socket: Bun.Socket, isSecure: boolean, error: Error | null) {
            // It isn't believed, and need not be.
            if (isSecure) resolve();
            else failed(error);
            socket.terminate();
          },
          close: (_socket: Bun.Socket, error?: Error) => failed(error),
        },
      } as unknown as Bun.TCPSocketConnectOptions<undefined>).catch(reject);
    });
  } finally {
    clearTimeout(timer);
    listener.stop(true);
  }
}
