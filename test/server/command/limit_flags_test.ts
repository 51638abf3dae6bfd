import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import {
  authenticate,
  errorOf,
  JanusClient,
  message,
  publish,
  subscribe,
} from "../../support/clients/janus_client.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { until } from "../../support/until.ts";
import { withCommand, type WithServer } from "./command_bed.ts";

for (const runtime of TESTED_RUNTIMES) {
  describe(`the limits that flags set on ${runtime}`, () => {
    const withServer: WithServer = (flags, test) => withCommand(runtime, flags, test);

    it("holds clients to the limits that its flags set", async () => {
      const flags = [
        "--max-connections=2",
        "--max-frame-bytes=100",
        "--max-topics=2",
        "--max-topic-bytes=5",
        "--log-level=error",
      ];
      await withServer(flags, async (server) => {
        const refused = async (bytes: string) => {
          const client = await JanusClient.greeted(server);
          client.send(bytes);
          const { frames } = await client.closed();
          await client.dispose();
          return errorOf(frames.at(-1)).code;
        };
        assertEquals(await refused(`PUBLISH\0${message("t", "x".repeat(100))}`), "frame_too_large");
        assertEquals(await refused(subscribe("123456")), "bad_frame");
        assertEquals(await refused(["a", "b", "c"].map(subscribe).join("")), "too_many_topics");
        const [one, two] = [await JanusClient.greeted(server), await JanusClient.greeted(server)];
        const three = await JanusClient.open(server);
        assertEquals(errorOf((await three.closed()).frames[0]).code, "too_many_connections");
        for (const client of [one, two, three]) await client.dispose();
        assertEquals(server.stderr, "");
      });
    });

    it("holds all clients together to the topics that its flag sets", async () => {
      await withServer(["--max-topics-total=2", "--log-level=warning"], async (server) => {
        const holder = await JanusClient.subscribed(server, "a", "b");
        const other = await JanusClient.subscribed(server, "a");
        other.send(subscribe("c"));
        assertEquals(errorOf((await other.closed()).frames[0]).code, "too_many_topics");
        await until("it's logged", () => server.stderr.endsWith("\n"));
        assertMatch(server.stderr, /closed 127\.0\.0\.1:\d+: too_many_topics, .*All 2 topics/);
        for (const client of [holder, other]) await client.dispose();
      });
    });

    it("holds one address to what its flags set", async () => {
      const flags = ["--max-connections-per-ip=2", "--log-level=warning"];
      await withServer(flags, async (server) => {
        const [one, two] = [await JanusClient.greeted(server), await JanusClient.greeted(server)];
        const three = await JanusClient.open(server);
        assertEquals(errorOf((await three.closed()).frames[0]).code, "too_many_connections");
        await until("it's logged", () => server.stderr.endsWith("\n"));
        assertMatch(server.stderr, /closed 127\.0\.0\.1:\d+: too_many_connections, .*one address/);
        for (const client of [one, two, three]) await client.dispose();
      });
      await withServer(["--accept-rate=1", "--log-level=error"], async (server) => {
        const clients = Array.from({ length: 20 }, () => new JanusClient(server));
        const first = await Promise.all(clients.map((client) => client.frame()));
        assert(first.filter((frame) => frame.includes("too_many_connections")).length > 10);
        for (const client of clients) await client.dispose();
      });
    });

    it("slows who publishes faster than its flag allows, and logs it once", async () => {
      await withServer(["--publish-rate=20", "--log-level=info"], async (server) => {
        const publisher = await JanusClient.greeted(server);
        publisher.send(publish(message("t")).repeat(30) + subscribe("t"));
        assertEquals(await publisher.frame(), "ACK");
        await until("it's logged", () => server.stderr.endsWith("\n"));
        assertMatch(
          server.stderr,
          /^[^\n]*slowed 127\.0\.0\.1:\d+: .*more than 20 messages[^\n]*\n$/,
        );
        await publisher.dispose();
      });
    });

    for (const workers of ["1", "2"]) {
      it(`lets the addresses publish that its flags allow, with ${workers} workers`, async () => {
        const directory = mkdtempSync("/tmp/hotwheels-test-");
        const path = `${directory}/keys`;
        writeFileSync(path, "\n  the key of old\nthe-new-key \n");
        const flags = ["--publish-key-file", path, "--subscribe-from", "127.0.0.0/8"];
        try {
          await withServer([...flags, "--workers", workers], async (server) => {
            const reader = await JanusClient.subscribed(server, "t");
            for (const key of ["the key of old", "the-new-key"]) {
              const publisher = await JanusClient.greeted(server);
              publisher.send(authenticate(key) + publish(message("t", key)));
              assertEquals(await publisher.frame(), "ACK");
              assertStringIncludes(await reader.frame(), key);
              await publisher.dispose();
            }
            const wrong = await JanusClient.greeted(server);
            wrong.send(authenticate("a-wrong-key"));
            const { frames } = await wrong.closed();
            assertEquals(errorOf(frames[0]).code, "forbidden");
            const legacy = await JanusClient.greeted(server);
            legacy.send(`PUBLISH\0${message("t")}`);
            assertEquals(errorOf((await legacy.closed()).frames[0]).code, "forbidden");
            const misspelled = await JanusClient.greeted(server);
            misspelled.send("AUTH a-wrong-key\0");
            frames.push(...(await misspelled.closed()).frames);
            await misspelled.dispose();
            await until("it's logged", () => server.stderr.split("forbidden").length > 2);
            await until("it's logged", () => server.stderr.includes("bad_frame"));
            for (const secret of ["key of old", "the-new-key", "a-wrong-key"]) {
              assert(!server.stderr.includes(secret) && !frames.join().includes(secret));
            }
            for (const client of [reader, wrong, legacy]) await client.dispose();
          });
        } finally {
          rmSync(directory, { recursive: true });
        }
      });
    }
  });
}
