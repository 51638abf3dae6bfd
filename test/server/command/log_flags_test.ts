import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import { JanusClient, message, publish } from "../../support/clients/janus_client.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { until } from "../../support/until.ts";
import { withCommand, type WithServer } from "./command_bed.ts";

const KIB = 1024;

for (const runtime of TESTED_RUNTIMES) {
  describe(`the log of a server on ${runtime}`, () => {
    const withServer: WithServer = (flags, test) => withCommand(runtime, flags, test);

    it("logs who was closed, why, and how much waited, in a line each", async () => {
      await withServer(["--max-pending-bytes", String(128 * KIB)], async (server) => {
        const wrong = await JanusClient.greeted(server);
        const { localPort } = wrong;
        wrong.send("nonsense\n\x1b[31m\0");
        await wrong.closed();
        const ordinary = await JanusClient.greeted(server);
        ordinary.close();
        const deaf = await JanusClient.subscribed(server, "t");
        deaf.pause();
        const publisher = await JanusClient.greeted(server);
        const padding = "p".repeat(32 * KIB);
        for (let i = 0; i < 500; i++) await publisher.sent(publish(message("t", padding)));
        await until("both are logged", () => server.stderr.split("\n").length > 2);
        const [first, second, ...others] = server.stderr.split("\n");
        assertEquals(others, [""]);
        assertMatch(
          first!,
          /^\S+T\S+ \[warning\] hotwheels: closed 127\.0\.0\.1:\d+: bad_frame, 0 bytes waiting, no topic, \d+\.\d s old: Unknown frame "n" and 13 bytes more$/,
        );
        assertStringIncludes(first!, ` closed 127.0.0.1:${localPort}: `);
        assertMatch(first!, /^[\x20-\x7e]+$/);
        const bytes =
          / closed 127\.0\.0\.1:\d+: slow_consumer, (\d+) bytes waiting, topic "t", \d+\.\d s old: /
            .exec(second!)
            ?.[1];
        assert(Number(bytes) > 128 * KIB, second);
        for (const client of [wrong, ordinary, deaf, publisher]) await client.dispose();
      });
    });

    it("outlives the reader of its log", async () => {
      await withServer([], async (server) => {
        const { port } = server;
        server.closeOutput();
        for (let i = 0; i < 3; i++) {
          const wrong = await JanusClient.greeted({ hostname: "127.0.0.1", port });
          wrong.send("nonsense\0");
          await wrong.closed();
          await wrong.dispose();
        }
        server.signal("SIGTERM");
        assertEquals((await server.exited()).status, 0);
      });
    });

    it("logs as much as it's asked to", async () => {
      for (
        const [level, lines] of [["debug", 4], ["info", 3], ["warning", 1], ["error", 0]] as const
      ) {
        await withServer(["--log-level", level], async (server) => {
          const ordinary = await JanusClient.greeted(server);
          ordinary.end();
          await ordinary.closed();
          const wrong = await JanusClient.greeted(server);
          wrong.send("nonsense\0");
          await wrong.closed();
          await wrong.dispose();
          await ordinary.dispose();
          server.signal("SIGTERM");
          const { stderr } = await server.exited();
          assertEquals(stderr.split("\n").length - 1, lines, stderr);
        });
      }
    });
  });
}
