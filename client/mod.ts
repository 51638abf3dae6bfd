/**
 * A client for programs on Node 20 and later, Deno and Bun: over TCP and TLS by `hotwheels:` and
 * `hotwheelss:`, over WebSocket by `ws:` and `wss:`. It comes back by itself after every break, and goes
 * on where it was.
 *
 * ```ts
 * import { connect } from "@hotwheels/hotwheels/client";
 *
 * const hotwheels = await connect("hotwheels://localhost:8081");
 * await hotwheels.publish({ topic: "events", data: "hello" });
 * for await (const { message } of hotwheels.subscribe("events", { last: 1 })) {
 *   console.log(message.data);
 * }
 * ```
 *
 * @module
 */

import { connectBy, type Hotwheels } from "./hotwheels.ts";
import type { ConnectOptions } from "./api/options.ts";
import { TcpTransport } from "./connection/tcp_transport.ts";
import { WebSocketTransport } from "./connection/web_socket_transport.ts";

export * from "./exports.ts";

/**
 * Connects to a server, and resolves when it has greeted the client and taken its keys. Tries again for
 * as long as it takes.
 *
 * @param urls `hotwheels://HOST:PORT`, `hotwheelss://HOST:PORT` for TLS, `ws://…` or `wss://…`; several
 * are tried in turn. The default port is 8081, that of a WebSocket 80 or 443.
 * @throws {RangeError} (rejects) if an option is out of range.
 * @throws {FinalError} (rejects) if trying again can't help: a wrong URL, a bad certificate, a wrong key.
 */
export function connect(
  urls: string | URL | readonly (string | URL)[],
  options: ConnectOptions = {},
): Promise<Hotwheels> {
  return connectBy(
    (address, handler, dialOptions) =>
      address.transport === "tcp"
        ? new TcpTransport(address, handler, dialOptions)
        : new WebSocketTransport(address, handler, dialOptions),
    urls,
    options,
  );
}
