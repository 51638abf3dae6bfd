import { assertEquals } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import { JanusClient } from "../../support/clients/janus_client.ts";
import { ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { WebSocketClient } from "../../support/web_socket/web_socket_client.ts";

const PATIENCE_MS = 20_000;

/** Waits until the metrics and the status both say that so many connections are open by each door. */
async function untilOpen(adminUrl: string, tcp: number, websocket: number): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const metrics = await (await fetch(`${adminUrl}/metrics`)).text();
    const { gauges } = await (await fetch(`${adminUrl}/status.json`)).json();
    const shown = [
      ...["tcp", "websocket"].map((door) => {
        return Number(
          new RegExp(`^hotwheels_connections_by_door\\{door="${door}"\\} (\\d+)$`, "m")
            .exec(metrics)?.[1],
        );
      }),
      Number(/^hotwheels_connections (\d+)$/m.exec(metrics)?.[1]),
      gauges?.connections_by_door,
    ];
    const expected = [tcp, websocket, tcp + websocket, { tcp, websocket }];
    if (JSON.stringify(shown) === JSON.stringify(expected)) return;
    if (performance.now() > endMs) assertEquals(shown, expected);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

for (const runtime of TESTED_RUNTIMES) {
  for (const workers of [1, 2]) {
    describe(
      `the admin port on ${runtime}, with ${workers} ${workers === 1 ? "process" : "workers"}`,
      {
        skip: workers > 1 && process.platform !== "linux" && "processes share a port on Linux only",
      },
      () => {
        it("tells connections by TCP and by WebSocket apart, also those refused", {
          timeout: 60_000,
        }, async () => {
          const server = await ServerCommand.listening(runtime, [
            ...["--ws-port", "0", "--admin", ":0", "--workers", `${workers}`],
            ...["--max-connections", "5"],
          ]);
          const [, port] = /WebSocket on ws:\/\/[^,)]*:(\d+)/.exec(server.stdout)!;
          const [, admin] = /admin on (http:[^,) ]+)/.exec(server.stdout)!;
          try {
            const tcp = await Promise.all([1, 2].map(() => JanusClient.greeted(server)));
            const webSockets: WebSocketClient[] = [];
            for (let i = 0; i < 3; i++) webSockets.push(await WebSocketClient.open(Number(port)));
            await untilOpen(admin!, 2, 3);
            const refused = await WebSocketClient.open(Number(port));
            await refused.ended(PATIENCE_MS);
            refused.dispose();
            await untilOpen(admin!, 2, 3);
            await tcp[0]!.dispose();
            webSockets[0]!.dispose();
            webSockets[1]!.dispose();
            await untilOpen(admin!, 1, 1);
            await tcp[1]!.dispose();
            webSockets[2]!.dispose();
            await untilOpen(admin!, 0, 0);
          } finally {
            await server.dispose();
          }
        });
      },
    );
  }
}
