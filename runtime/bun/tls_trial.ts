/**
 * Tries a certificate and its key in a handshake of Bun's sockets with themselves: only then do they say
 * whether a listener can use it.
 *
 * @module
 */

import { randomUUID } from "node:crypto";
import process from "node:process";
import { TLS_SUITES } from "./tls_suites.ts";
import type { TlsIdentity } from "../types.ts";

/** Milliseconds for the handshake, which takes a few. */
const patienceMs = 10_000;

/**
 * Completes a handshake.
 *
 * @throws {Error} (rejects) with the engine's message if it fails.
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
            // The client doesn't accept the certificate, and needn't.
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
