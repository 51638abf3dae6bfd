import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { bytesText, countText, timeText } from "../../commands/quantities.ts";
import { lineOf, screenOf } from "../../commands/top_text.ts";
import { serve } from "../../server/serve.ts";
import { JanusClient } from "../support/clients/janus_client.ts";
import { startTask } from "../support/processes/command_process.ts";
import { TESTED_RUNTIMES } from "../support/processes/tested_runtimes.ts";
import { until } from "../support/until.ts";

const timeout = 60_000;
const KEY = "a key for top, é";

describe("quantities", () => {
  it("have their units, and three digits or so", () => {
    assertEquals([0, 999, 19_001, 2_261_000, 123_456_789].map(countText), [
      "0",
      "999",
      "19,001",
      "2.26M",
      "123M",
    ]);
    assertEquals([0, 999, 1_500, 268_435_456, 7e9].map(bytesText), [
      "0 B",
      "999 B",
      "1.5 kB",
      "268 MB",
      "7.0 GB",
    ]);
    assertEquals([0, 7.34, 94.2, 999.9, 1_250, 61_000, 180_000, 9e6, 2e8].map(timeText), [
      "0.0 ms",
      "7.3 ms",
      "94 ms",
      "1.00 s",
      "1.25 s",
      "61 s",
      "3 min",
      "3 h",
      "2 days",
    ]);
  });
});

for (const runtime of TESTED_RUNTIMES) {
  describe(`top on ${runtime}`, () => {
    const start = (...args: string[]) => startTask(runtime, "top", args);

    it("prints a line a second in a pipe, and goes on when the server comes back", {
      timeout,
    }, async () => {
      const limits = { maxConnections: 100 };
      const keys = [KEY];
      const first = await serve({ hostname: "127.0.0.1", port: 0, admin: { keys }, limits });
      const folder = mkdtempSync(join(tmpdir(), "hotwheels-top-"));
      try {
        const file = join(folder, "keys");
        writeFileSync(file, `${KEY}\n`, { mode: 0o600 });
        assert(first.address.transport === "tcp");
        const client = await JanusClient.subscribed(first.address, "t");
        const { port, host } = new URL(first.adminUrl!);
        using top = start(host, "--key-file", file);
        await until("two lines are there", () => top.stdout.split("\n").length > 2, 30_000);
        const [line, second] = top.stdout.split("\n");
        assertMatch(line!, /^\d{4}-\d\d-\d\dT\S+Z ready connections=1 messages_per_s=- /);
        assertMatch(second!, / connections=1 messages_per_s=0 deliveries_per_s=0 .*workers_up=1$/);
        await client.dispose();
        await first.close();
        await until("it says so", () => top.stdout.includes("no answer for"), 30_000);
        const admin = { keys, port: Number(port) };
        const again = await serve({ hostname: "127.0.0.1", port: 0, admin, limits });
        await until("it goes on", () => top.stdout.includes(" connections=0 "), 30_000);
        await again.close();
      } finally {
        rmSync(folder, { recursive: true });
      }
    });

    it("says in one line what is wrong", { timeout }, async () => {
      const limits = { maxConnections: 100 };
      const admin = { keys: [KEY] };
      const server = await serve({ hostname: "127.0.0.1", port: 0, admin, limits });
      const url = server.adminUrl!;
      for (
        const [args, status, part] of [
          [[url], 1, "it wants a key; give it one with --key-file FILE"],
          [[url, "--key", "wrong"], 1, "it doesn't take this key"],
          [["ftp://127.0.0.1"], 2, "URL must be the address of an admin port"],
          [["8082", "8083"], 2, "one argument too many"],
          [["127.0.0.1:9"], 1, "can't reach http://127.0.0.1:9: "],
        ] as const
      ) {
        const ended = await start(...args).ended;
        assertEquals([ended.status, ended.stdout], [status, ""], ended.stderr);
        assertStringIncludes(ended.stderr, part);
        assertEquals(ended.stderr.trimEnd().split("\n").length, 1);
      }
      await server.close();
    });
  });
}

describe("top's screen", () => {
  it("fits the terminal, and no name acts on it", async () => {
    const limits = { maxConnections: 100 };
    const server = await serve({ hostname: "127.0.0.1", port: 0, admin: {}, limits });
    assert(server.address.transport === "tcp");
    const hostile = "\u001b[2J\u202e\u0007" + "long ".repeat(40);
    const client = await JanusClient.subscribed(server.address, hostile);
    const status = await (await fetch(`${server.adminUrl}/status.json`)).json();
    for (const [columns, rows] of [[80, 24], [40, 10], [200, 60]] as const) {
      const lines = screenOf(status, undefined, { columns, rows });
      assert(lines.length <= rows && lines.every((line) => line.length <= columns));
      // deno-lint-ignore no-control-regex
      assert(!/[\u0000-\u001f\u007f-\u009f\u202e]/.test(lines.join("")));
    }
    const text = screenOf(status, undefined, { columns: 120, rows: 40 }).join("\n");
    assertStringIncludes(text, "\\u{1b}[2J\\u{202e}\\u{7}long");
    assertStringIncludes(text, "1 of 100");
    assert(!text.includes("NATS"));
    await client.dispose();
    await server.close();
  });

  it("has the cluster's other machines, and says which are silent", async () => {
    const server = await serve({ hostname: "127.0.0.1", port: 0, admin: {} });
    const alone = await (await fetch(`${server.adminUrl}/status.json`)).json();
    await server.close();
    const member = {
      machine: "0af3",
      address: "10.0.0.7:8081",
      is_there: true,
      workers: 2,
      lag_ms: 0,
      refills: 1,
      holes: 0,
    };
    const silent = { ...member, machine: "1b\u001b[2J", is_there: false, lag_ms: 1_250, holes: 3 };
    const size = { columns: 120, rows: 40 };
    const shown = (cluster: unknown) => screenOf({ ...alone, cluster }, undefined, size);
    const two = shown({ is_connected: true, members: [member, silent] });
    assertEquals(two.filter((line) => /10\.0\.0\.7/.test(line)), [
      "0af3         10.0.0.7:8081  up      2        0.0 ms  1        0",
      "1b\\u{1b}[2J  10.0.0.7:8081  SILENT  2        1.25 s  1        3",
    ]);
    assert(shown({ is_connected: false, members: [] }).includes("NATS IS AWAY, no other machine"));
    const status = { ...alone, cluster: { is_connected: false, members: [member, silent] } };
    assertStringIncludes(
      lineOf(status, undefined),
      " nats=away machines_heard=1 machines_silent=1",
    );
  });
});
