import { assert, assertEquals, assertMatch } from "@std/assert";
import { spawnSync } from "node:child_process";
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import process from "node:process";
import { describe, it } from "node:test";
import type { RuntimeName } from "../../../cli/program.ts";
import {
  authenticate,
  errorOf,
  JanusClient,
  message,
  publish,
} from "../../support/clients/janus_client.ts";
import { lastingPort } from "../../../tools/harness/lasting_port.ts";
import { directCommand, ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { quiet, until } from "../../support/until.ts";
import { skipWorkers, workersOf } from "../../support/processes/workers.ts";

const timeout = 60_000;

/** Elsewhere only 127.0.0.1 is the machine's own. */
const skip = process.platform === "linux" ? false : "there is one loopback address only";

/** Runs a test with a folder of its own. */
async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync("/tmp/hotwheels-hangup-");
  try {
    await test(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** True if a client may publish to `t` with a key. */
async function mayPublish(server: ServerCommand, key: string, reader: JanusClient) {
  const client = await JanusClient.greeted(server);
  try {
    client.send(authenticate(key) + publish(message("t", key)));
    const frame = await client.frame();
    if (frame !== "ACK") {
      assertEquals(errorOf(frame).code, "forbidden");
      return false;
    }
    assertMatch(await reader.frame(), new RegExp(key));
    return true;
  } finally {
    await client.dispose();
  }
}

async function maySubscribe(server: ServerCommand, from: string): Promise<boolean> {
  const client = await JanusClient.greeted(server, { from });
  try {
    client.send('{"action":"subscribe","data":"t"}\0');
    return await client.frame() === "ACK";
  } finally {
    await client.dispose();
  }
}

function countOf(text: string, words: string): number {
  return text.split(words).length - 1;
}

/** Sends SIGHUP, and waits until the log says so. */
async function hangUp(server: ServerCommand, words: string): Promise<void> {
  const before = countOf(server.stderr, words);
  process.kill(server.pid, "SIGHUP");
  await until(`it says: ${words}`, () => countOf(server.stderr, words) > before);
}

/** Starts a server in a process group of its own; it may not listen yet. */
function startGroup(runtime: RuntimeName, flags: readonly string[]): ServerCommand {
  const all = ["--host", "127.0.0.1", "--port", "0", ...flags];
  return new ServerCommand(["setsid", ...directCommand(runtime)], all);
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`SIGHUP on ${runtime}`, () => {
    for (const workers of [1, 2]) {
      const name = `workers: ${workers}`;

      it(`has keys and addresses read again, and disturbs no client, ${name}`, {
        timeout,
        skip,
      }, async () => {
        await withFolder(async (folder) => {
          const [keys, networks] = [`${folder}/keys`, `${folder}/networks`];
          writeFileSync(keys, "old-key\n");
          writeFileSync(networks, "# office\n127.0.0.1 # a desk\n\n");
          const flags = ["--workers", `${workers}`, "--publish-key-file", keys];
          // All workers are killed, and come back to their port.
          flags.push("--port", `${await lastingPort()}`);
          flags.push("--subscribe-from", "127.0.0.9", "--subscribe-from-file", networks);
          const server = await ServerCommand.listening(runtime, flags);
          try {
            const reader = await JanusClient.subscribed(server, "t");
            assertEquals(await mayPublish(server, "old-key", reader), true);
            assertEquals(await mayPublish(server, "new-key", reader), false);
            assertEquals(await maySubscribe(server, "127.0.0.2"), false);
            const publisher = await JanusClient.greeted(server);
            publisher.send(authenticate("old-key"));
            assertEquals(await publisher.frame(), "ACK");

            writeFileSync(keys, "new-key\n");
            writeFileSync(networks, "127.0.0.2/31\n");
            await hangUp(server, "keys and addresses are renewed");
            assertEquals(await mayPublish(server, "new-key", reader), true);
            assertEquals(await mayPublish(server, "old-key", reader), false);
            for (const last of [2, 3, 9]) {
              assertEquals(await maySubscribe(server, `127.0.0.${last}`), true);
            }
            assertEquals(await maySubscribe(server, "127.0.0.1"), false);
            // Those who were there may what they might.
            publisher.send(publish(message("t", "from of old")));
            assertMatch(await reader.frame(), /from of old/);

            writeFileSync(networks, "127.0.0.1\n127.0.0.0/33\n");
            await hangUp(server, "are not renewed, the old ones stay: ");
            assertMatch(server.stderr, /stay: line 2 of "[^\n]*networks" must be [^\n]*0\/33"\n/);
            writeFileSync(networks, "127.0.0.1\n");
            rmSync(keys);
            await hangUp(server, "are not renewed, the old ones stay: ");
            assertMatch(server.stderr, /stay: can't read the keys in "[^\n]*keys": [^\n]*\n/);
            assertEquals(await mayPublish(server, "new-key", reader), true);
            assertEquals(await maySubscribe(server, "127.0.0.1"), false);

            if (workers > 1) {
              // A new worker gets what is in force, which is neither the start's nor the file's.
              for (const pid of workersOf(server)) process.kill(pid, "SIGKILL");
              await until("they're replaced", () => countOf(server.stderr, "has joined") === 2);
              assertEquals(await maySubscribe(server, "127.0.0.1"), false);
              assertEquals(await maySubscribe(server, "127.0.0.3"), true);
            }

            writeFileSync(keys, "newest-key\n");
            for (let i = 0; i < 100; i++) process.kill(server.pid, "SIGHUP");
            await hangUp(server, "keys and addresses are renewed");
            const last = await JanusClient.subscribed(server, "t");
            assertEquals(await mayPublish(server, "newest-key", last), true);

            server.signal("SIGTERM");
            assertEquals((await server.exited()).status, 0);
            for (const client of [reader, publisher, last]) await client.dispose();
          } finally {
            await server.dispose();
          }
        });
      });

      it(`does nothing where no file is named, ${name}`, { timeout }, async () => {
        const server = await ServerCommand.listening(runtime, ["--workers", `${workers}`]);
        try {
          const reader = await JanusClient.subscribed(server, "t");
          await hangUp(server, "got SIGHUP: there are no files to read again");
          reader.send(publish(message("t", "still")));
          assertMatch(await reader.frame(), /still/);
          await reader.dispose();
          server.signal("SIGTERM");
          assertEquals((await server.exited()).status, 0);
        } finally {
          await server.dispose();
        }
      });

      it(`while it starts is heard, and ends nothing, ${name}`, { timeout }, async () => {
        await withFolder(async (folder) => {
          const keys = `${folder}/keys`;
          assertEquals(spawnSync("mkfifo", [keys]).status, 0);
          const flags = ["--host", "127.0.0.1", "--port", "0", "--workers", `${workers}`];
          flags.push("--publish-key-file", keys);
          const server = new ServerCommand(directCommand(runtime), flags);
          try {
            let pipe: number | undefined;
            await until("it waits for its keys", () => {
              try {
                pipe = openSync(keys, constants.O_WRONLY | constants.O_NONBLOCK);
                return true;
              } catch {
                return server.hasExited;
              }
            });
            process.kill(server.pid, "SIGHUP");
            await quiet();
            assertEquals(server.hasExited, false, server.stderr);
            writeFileSync(`${folder}/new`, "new-key\n");
            renameSync(`${folder}/new`, keys);
            writeSync(pipe!, "old-key\n");
            closeSync(pipe!);
            await until("it has read them again", () => server.stderr.includes("are renewed"));
            await until("it listens", () => server.stdout.includes("\n"));
            const reader = await JanusClient.subscribed(server, "t");
            assertEquals(await mayPublish(server, "new-key", reader), true);
            await reader.dispose();
            server.signal("SIGTERM");
            assertEquals((await server.exited()).status, 0);
          } finally {
            await server.dispose();
          }
        });
      });
    }

    it("to the whole group harms no worker, one that starts neither", {
      timeout,
      skip: skipWorkers,
    }, async () => {
      const server = startGroup(runtime, ["--workers", "2"]);
      const hangUpAll = () => process.kill(-server.pid, "SIGHUP");
      try {
        // The first one has begun to start: a process, and hardly more.
        await until("there is a worker", () => workersOf(server).length > 0 || server.hasExited);
        for (let i = 0; i < 5; i++) {
          if (!server.hasExited) hangUpAll();
          await quiet(20);
        }
        await until("it listens", () => server.stdout.includes("\n") || server.hasExited, 30_000);
        assertEquals(server.hasExited, false, server.stderr);
        const before = workersOf(server).sort();
        assertEquals(before.length, 2);
        const reader = await JanusClient.subscribed(server, "t");
        for (let i = 0; i < 20; i++) hangUpAll();
        await quiet(200);
        assertEquals(workersOf(server).sort(), before);
        reader.send(publish(message("t", "still")));
        assertMatch(await reader.frame(), /still/);
        await reader.dispose();
        process.kill(before[0]!, "SIGKILL");
        for (let i = 0; i < 10; i++) {
          hangUpAll();
          await quiet(20);
        }
        await until("a new one has joined", () => server.stderr.includes("has joined"), 30_000);
        assert(!server.stderr.includes("by SIGHUP"), server.stderr);
        server.signal("SIGTERM");
        assertEquals((await server.exited()).status, 0);
      } finally {
        await server.dispose();
      }
    });

    it("ends no server under nohup, as its terminal's end doesn't", { timeout }, async () => {
      const command = ["nohup", ...directCommand(runtime)];
      const server = await ServerCommand.listening(runtime, [], command);
      try {
        await hangUp(server, "got SIGHUP");
        await (await JanusClient.subscribed(server, "t")).dispose();
        server.signal("SIGTERM");
        assertEquals((await server.exited()).status, 0);
      } finally {
        await server.dispose();
      }
    });

    it("needs files that are right when the server starts", async () => {
      await withFolder(async (folder) => {
        const file = `${folder}/networks`;
        for (
          const [text, words] of [
            ["10.0.0.0/8\nnonsense # here\n", /line 2 of ".*networks" must be .*"nonsense"/],
            ["# 10.0.0.0/8\n\n", /networks" holds no address: write one on a line/],
          ] as const
        ) {
          writeFileSync(file, text);
          const flags = ["--port", "0", "--publish-from-file", file];
          const exit = await new ServerCommand(directCommand(runtime), flags).exited();
          assertEquals([exit.status, exit.stdout], [1, ""]);
          assertMatch(exit.stderr, /^hotwheels: [^\n]+\n$/);
          assertMatch(exit.stderr, words);
        }
      });
    });
  });
}
