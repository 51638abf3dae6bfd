/**
 * The client for browsers: over WebSocket, by `ws:` and `wss:`. All else is as in `mod.ts`.
 *
 * @module
 */

import { UrlError } from "./api/errors.ts";
import { connectBy, type Hotwheels } from "./hotwheels.ts";
import type { ConnectOptions } from "./api/options.ts";
import { WebSocketTransport } from "./connection/web_socket_transport.ts";

export * from "./exports.ts";

/**
 * Connects to a server, and resolves when it has greeted the client and taken its keys. Tries again for
 * as long as it takes.
 *
 * @param urls `ws://HOST:PORT` or `wss://HOST:PORT`; several are tried in turn.
 * @throws {RangeError} (rejects) if an option is out of range.
 * @throws {FinalError} (rejects) if trying again can't help: a wrong URL, a wrong key.
 */
export function connect(
  urls: string | URL | readonly (string | URL)[],
  options: ConnectOptions = {},
): Promise<Hotwheels> {
  return connectBy(
    (address, handler, dialOptions) => {
      const { url, transport } = address;
      if (transport === "tcp") {
        const remedy = "Write ws:// or wss:// and the server's WebSocket port (--ws-port)";
        throw new UrlError(url, `A browser can't connect to ${url}`, remedy);
      }
      return new WebSocketTransport(address, handler, dialOptions);
    },
    urls,
    options,
  );
}
