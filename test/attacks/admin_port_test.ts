import { assert, assertEquals } from "@std/assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { RawHttp, untilAnswered } from "../support/clients/admin_client.ts";
import { JanusClient, message, publish } from "../support/clients/janus_client.ts";
import { ServerCommand } from "../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../support/processes/tested_runtimes.ts";
import { until } from "../support/until.ts";

/** Milliseconds for which an attack goes on. */
const ATTACK_MS = 800;

/** Connections of an attack at once. */
const CROWD = 120;

const HOST = "Host: 127.0.0.1\r\n";

/** What one connection of each attack says. */
const ATTACKS: Readonly<Record<string, (http: RawHttp, n: number) => void>> = {
  "headers that never end": (http) => http.send(`GET / HTTP/1.1\r\n${HOST}A: `),
  "requests, many in one chunk": (http) => {
    http.send(`GET /status.json HTTP/1.1\r\n${HOST}\r\n`.repeat(500));
  },
  "connections that are closed at once": (http) => http.close(),
  "large bodies": (http) => {
    http.send(`POST /metrics HTTP/1.1\r\n${HOST}Content-Length: 900000000\r\n\r\n`);
    http.send("x".repeat(1_000_000));
  },
  "wrong keys": (http, n) => http.send(`GET /metrics?key=${n} HTTP/1.1\r\n${HOST}\r\n`),
  "answers that aren't read": (http) => {
    http.stall();
    http.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
  },
};

for (const runtime of TESTED_RUNTIMES) {
  describe(`on the admin port of ${runtime}'s server`, () => {
    for (const [attack, begin] of Object.entries(ATTACKS)) {
      it(`${attack} keep no message from a subscriber`, { timeout: 60_000 }, async () => {
        const folder = mkdtempSync(join(tmpdir(), "hotwheels-admin-"));
        const keys = join(folder, "keys");
        writeFileSync(keys, "a key that is long enough\n", { mode: 0o600 });
        const flags = ["--admin", ":0"];
        if (attack === "wrong keys") flags.push("--admin-key-file", keys);
        const server = await ServerCommand.listening(runtime, flags);
        const url = /admin on (http:\S+)\)/.exec(server.stdout)![1]!;
        let crowd: RawHttp[] = [];
        try {
          const readers = await Promise.all(
            Array.from({ length: 20 }, () => JanusClient.subscribed(server, "t")),
          );
          const publisher = await JanusClient.greeted(server);
          let attackers = 0;
          let messages = 0;
          for (const endMs = performance.now() + ATTACK_MS; performance.now() < endMs;) {
            crowd = crowd.filter(({ hasEnded }) => !hasEnded);
            while (crowd.length < CROWD) {
              const http = new RawHttp(url);
              begin(http, attackers++);
              crowd.push(http);
            }
            publisher.send(publish(message("t", messages++)));
            await sleep(10);
          }
          assert(attackers >= CROWD);
          for (const reader of readers) {
            await until("all messages come", () => reader.frames.length === messages);
          }
          for (const http of crowd.splice(0)) http.close();
          // It is its old self again, and has ended nobody.
          await untilAnswered(url);
          assertEquals(readers.filter(({ ended }) => ended !== null).length, 0);
          for (const client of [...readers, publisher]) await client.dispose();
        } finally {
          for (const http of crowd) http.close();
          await server.dispose();
          rmSync(folder, { recursive: true });
        }
      });
    }
  });
}
