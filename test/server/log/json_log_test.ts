import { assert, assertEquals, assertMatch } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import { directCommand, ServerCommand } from "../../support/processes/server_command.ts";
import { JanusClient } from "../../support/clients/janus_client.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { until } from "../../support/until.ts";
import { skipWorkers } from "../../support/processes/workers.ts";

const timeout = 60_000;

/** Hostile in a terminal, and for a reader of lines. */
const TOPIC = 'a\n"\u001b[31m\u009b\u2028é';

/** What a line of the log says. */
type Line = Readonly<Record<string, unknown>>;

function linesOf({ stderr }: { readonly stderr: string }): Line[] {
  assertMatch(stderr, /^[\x20-\x7e\n]*$/);
  return stderr.split("\n").slice(0, -1).map((line) => JSON.parse(line) as Line);
}

for (const runtime of TESTED_RUNTIMES) {
  for (const workers of [1, 2]) {
    const skip = workers === 1 ? false : skipWorkers;
    describe(`${runtime}'s log as JSON, workers: ${workers}`, { skip }, () => {
      it(
        "says in each line when, how grave and what, and names its values",
        { timeout },
        async () => {
          const server = await ServerCommand.listening(runtime, [
            ...["--log-format", "json", "--log-level", "debug", "--workers", `${workers}`],
            ...["--max-connections", "1000000"],
          ]);
          try {
            const client = await JanusClient.subscribed(server, TOPIC, "another");
            client.send("nonsense\0");
            await client.closed();
            process.kill(server.pid, "SIGHUP");
            await until("it says so", () => /SIGHUP/.test(server.stderr));
            await until("it says who ended", () => /bad_frame/.test(server.stderr));
            // More than the log has lines for.
            const crowd = Array.from({ length: 200 }, () => new JanusClient(server));
            for (const one of crowd) one.send("nonsense\0");
            await Promise.all(crowd.map((one) => one.closed()));
            await until("they are summed up", () => /"counts":/.test(server.stderr));
            server.signal("SIGTERM");
            await server.exited();

            const lines = linesOf(server);
            for (const { time, level, message } of lines) {
              assertMatch(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
              assertMatch(String(level), /^(?:debug|info|warning|error)$/);
              assert(typeof message === "string" && message !== "");
            }
            const closed = lines.find(({ topic }) => topic === TOPIC);
            assert(closed !== undefined, server.stderr);
            const { time: _, message, age_ms, port, worker, ...rest } = closed;
            assertMatch(
              String(message),
              /^closed 127\.0\.0\.1:\d+: bad_frame, 0 bytes waiting, topic /,
            );
            assertEquals(rest, {
              level: "warning",
              address: "127.0.0.1",
              reason: "bad_frame",
              topics: 2,
              topic: TOPIC,
              pending_bytes: 0,
              detail: rest["detail"],
            });
            assert(typeof age_ms === "number" && age_ms >= 0 && typeof port === "number");
            if (workers === 1) assertEquals(worker, undefined);
            else assertMatch(String(worker), /^worker-[12]$/);

            const say = (words: RegExp) =>
              lines.find((line) => words.test(String(line["message"])));
            assertEquals(say(/^got SIGHUP/)?.["level"], "info");
            assertEquals(say(/^got SIGTERM/)?.["signal"], "SIGTERM");
            assertEquals(typeof say(/^stopped after/)?.["took_ms"], "number");
            const sum = say(/^and more /)?.["counts"] as Record<string, number>;
            assert(sum["bad_frame"]! > 0);
            // What the machine doesn't allow is said before the server listens.
            assertEquals(say(/descriptors/)?.["level"], "warning", server.stderr);
          } finally {
            await server.dispose();
          }
        },
      );
    });
  }

  it(`${runtime}'s log as JSON says why the server can't run`, { timeout }, async () => {
    const other = await ServerCommand.listening(runtime, []);
    try {
      const command = new ServerCommand(
        directCommand(runtime),
        ["--host", "127.0.0.1", "--port", `${other.port}`, "--log-format", "json"],
      );
      const { status, stderr } = await command.exited();
      assertEquals(status, 1);
      const last = linesOf({ stderr }).at(-1)!;
      assertEquals(last["level"], "fatal");
      assertMatch(String(last["message"]), /in use/);
    } finally {
      await other.dispose();
    }
  });
}
