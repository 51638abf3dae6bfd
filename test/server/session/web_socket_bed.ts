import { type JanusBed, withServer } from "../../support/clients/janus_bed.ts";
import { WebSocketClient } from "../../support/web_socket/web_socket_client.ts";

/** Runs a test with a server that has a port for WebSockets, and closes the clients that it opens. */
export async function withWebSockets(
  limits: Parameters<typeof withServer>[0],
  test: (
    open: (handshake?: Uint8Array) => Promise<WebSocketClient>,
    bed: JanusBed,
    port: number,
  ) => Promise<void>,
): Promise<void> {
  const clients: WebSocketClient[] = [];
  await withServer(limits, async (bed) => {
    const port = await bed.openWebSockets();
    try {
      await test(
        async (handshake) => {
          const client = await WebSocketClient.open(port, handshake);
          clients.push(client);
          return client;
        },
        bed,
        port,
      );
    } finally {
      for (const client of clients) client.dispose();
    }
  });
}
