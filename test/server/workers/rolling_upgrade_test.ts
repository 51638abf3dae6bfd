import { assert, assertEquals, assertMatch } from "@std/assert";
import { spawnSync } from "node:child_process";
import process from "node:process";
import { describe, it } from "node:test";
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import {
  authenticate,
  errorOf,
  JanusClient,
  message,
  publish,
} from "../../support/clients/janus_client.ts";
import { directCommand, ServerCommand } from "../../support/processes/server_command.ts";
import { RollTraffic } from "../../support/clients/roll_traffic.ts";
import { quiet, until } from "../../support/until.ts";
import { skipWorkers, workersOf } from "../../support/processes/workers.ts";

const timeout = 60_000;

/** Each runtime's run looks at its own server. */
const runtime = "Bun" in globalThis ? "bun" : "deno";

function countOf(text: string, words: string): number {
  return text.split(words).length - 1;
}

/** Waits until so many rolls are over. */
function untilRolled(server: ServerCommand, rolls = 1): Promise<void> {
  return until("all workers are replaced", () => {
    return countOf(server.stderr, "all workers are replaced") === rolls;
  }, 30_000);
}

describe(`SIGUSR2 on ${runtime}`, { skip: skipWorkers }, () => {
  it("replaces the workers one by one, and costs only their own clients a connection", {
    timeout,
  }, async () => {
    const server = await ServerCommand.listening(runtime, ["--workers", "2"]);
    try {
      const before = workersOf(server);
      const traffic = await RollTraffic.start(server, 12, 6);
      let most = 0;
      let fewest = Infinity;
      const watch = setInterval(() => {
        const { length } = workersOf(server);
        most = Math.max(most, length);
        fewest = Math.min(fewest, length);
      }, 50);
      process.kill(server.pid, "SIGUSR2");
      await untilRolled(server);
      clearInterval(watch);
      await traffic.stop();
      assertEquals(traffic.faults, []);
      assert(traffic.farewells >= 18, `${traffic.farewells} connections were told`);
      assert(fewest >= 2 && most <= 3, `there were ${fewest} to ${most} workers`);
      const after = workersOf(server);
      assertEquals(after.length, 2);
      assertEquals(after.filter((pid) => before.includes(pid)), []);
      assertMatch(server.stderr, /replacing 2 workers, one after the other\n/);
      server.signal("SIGTERM");
      assertEquals((await server.exited()).status, 0);
    } finally {
      await server.dispose();
    }
  });

  it("during a roll asks for one more, SIGHUP reaches every worker, and SIGTERM ends it in time", {
    timeout,
  }, async () => {
    const folder = mkdtempSync("/tmp/hotwheels-roll-");
    const keys = `${folder}/keys`;
    writeFileSync(keys, "old-key\n");
    // In a group of its own, all of which gets the signal.
    const command = ["setsid", ...directCommand(runtime)];
    const flags = ["--workers", "2", "--publish-key-file", keys, "--drain-seconds", "0"];
    const server = await ServerCommand.listening(runtime, flags, command);
    try {
      const rollAll = () => process.kill(-server.pid, "SIGUSR2");
      rollAll();
      await until("a successor starts", () => workersOf(server).length === 3);
      writeFileSync(keys, "new-key\n");
      process.kill(server.pid, "SIGHUP");
      for (let i = 0; i < 3; i++) {
        rollAll();
        await quiet();
      }
      await until("they're renewed", () => server.stderr.includes("addresses are renewed"));
      await untilRolled(server, 2);
      await quiet(200);
      assertEquals(countOf(server.stderr, "replacing 2 workers"), 2);
      for (let i = 0; i < 16; i++) {
        const client = await JanusClient.greeted(server);
        client.send(authenticate(i % 2 === 0 ? "old-key" : "new-key"));
        const frame = await client.frame();
        if (i % 2 === 1) assertEquals(frame, "ACK");
        else assertEquals(errorOf(frame).code, "forbidden");
        await client.dispose();
      }

      process.kill(server.pid, "SIGUSR2");
      await until("a successor starts", () => workersOf(server).length === 3);
      const all = workersOf(server);
      server.signal("SIGTERM");
      const { status, stderr } = await server.exited();
      assertEquals(status, 0, stderr);
      assert(!stderr.includes("failed"), stderr);
      for (const pid of all) assert(!isAlive(pid), `${pid} is left`);
    } finally {
      await server.dispose();
      rmSync(folder, { recursive: true });
    }
  });

  it("goes on when a worker dies before its successor serves, and ends when the successor does", {
    timeout,
  }, async () => {
    const server = await ServerCommand.listening(runtime, ["--workers", "2"]);
    try {
      const old = workersOf(server);
      const successorOf = async (before: readonly number[]) => {
        process.kill(server.pid, "SIGUSR2");
        const newOnes = () => workersOf(server).filter((pid) => !before.includes(pid));
        await until("a successor starts", () => newOnes().length > 0);
        return newOnes()[0]!;
      };
      process.kill(await successorOf(old), "SIGKILL");
      await until(
        "it's in the log",
        () => server.stderr.includes("the successor of worker-1 failed"),
      );
      assertEquals(workersOf(server), old);

      await successorOf(old);
      const [first] = old;
      process.kill(first!, "SIGKILL");
      await untilRolled(server);
      const after = workersOf(server);
      assertEquals(after.filter((pid) => old.includes(pid)), []);
      assertEquals(after.length, 2, server.stderr);
      // Only what has no successor gets one.
      await quiet(500);
      assertEquals(workersOf(server), after);
      assert(!server.stderr.includes("has joined"), server.stderr);
      server.signal("SIGTERM");
      assertEquals((await server.exited()).status, 0);
    } finally {
      await server.dispose();
    }
  });

  it("while the server starts ends nothing, and is heard then", { timeout }, async () => {
    const folder = mkdtempSync("/tmp/hotwheels-roll-");
    const keys = `${folder}/keys`;
    assertEquals(spawnSync("mkfifo", [keys]).status, 0);
    const flags = ["--host", "127.0.0.1", "--port", "0", "--publish-key-file", keys];
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
      process.kill(server.pid, "SIGUSR2");
      await quiet();
      writeSync(pipe!, "a-key\n");
      closeSync(pipe!);
      await until("it listens", () => server.stdout.includes("\n") || server.hasExited);
      await until("it's in the log", () => server.stderr.includes("got SIGUSR2"));
      server.signal("SIGTERM");
      assertEquals((await server.exited()).status, 0);
    } finally {
      await server.dispose();
      rmSync(folder, { recursive: true });
    }
  });

  it("says that a single process can't be replaced, and ends nothing", { timeout }, async () => {
    const server = await ServerCommand.listening(runtime);
    try {
      const client = await JanusClient.subscribed(server, "t");
      process.kill(server.pid, "SIGUSR2");
      await until("it's in the log", () => server.stderr.includes("\n"));
      assertMatch(
        server.stderr,
        /^[^\n]*: got SIGUSR2, which replaces [^\n]* --workers 2 [^\n]*\n$/,
      );
      client.send(publish(message("t", "still")));
      assertMatch(await client.frame(), /still/);
      await client.dispose();
      server.signal("SIGTERM");
      assertEquals((await server.exited()).status, 0);
    } finally {
      await server.dispose();
    }
  });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
