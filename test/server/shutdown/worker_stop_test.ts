import { assert, assertEquals, assertMatch } from "@std/assert";
import { spawnSync } from "node:child_process";
import process from "node:process";
import { describe, it } from "node:test";
import { startChild } from "../../../cli/child.ts";
import { detectRuntime } from "../../../runtime/detect.ts";
import { errorOf, JanusClient, message, publish } from "../../support/clients/janus_client.ts";
import { isRunning } from "../../support/processes/command_process.ts";
import { directCommand, ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { quiet, until } from "../../support/until.ts";
import { skipWorkers, workersOf } from "../../support/processes/workers.ts";

const OWN_RUNTIME = TESTED_RUNTIMES[0]!;

const timeout = 60_000;

/** True once the shell that starts the server has been replaced by it, so that its children are workers. */
function isServer(pid: number): boolean {
  const { stdout } = spawnSync("readlink", [`/proc/${pid}/exe`], { encoding: "utf8" });
  return stdout.includes(OWN_RUNTIME);
}

describe(`a stop of workers on ${OWN_RUNTIME}`, { skip: skipWorkers }, () => {
  it("lets the clients of those that are well be told of the stop while one hangs", {
    timeout,
  }, async () => {
    const server = await ServerCommand.listening(OWN_RUNTIME, ["--workers", "3"]);
    try {
      const clients = await Promise.all(
        Array.from({ length: 30 }, () => JanusClient.greeted(server)),
      );
      const hung = workersOf(server)[0]!;
      process.kill(hung, "SIGSTOP");
      for (const client of clients) client.send('{"action":"subscribe","data":"t"}\0');
      await quiet(500);
      const well = clients.filter(({ frames }) => frames.includes("ACK"));
      assert(well.length > 0 && well.length < 30, `${well.length} of 30 are well`);
      server.signal("SIGTERM");
      for (const client of well) {
        const { how, frames } = await client.closed();
        assertEquals([how, errorOf(frames.at(-1)).code], ["fin", "server_shutdown"]);
      }
      // They didn't wait for the one that hangs, which is ended a while later.
      assert(isRunning(hung));
      assertEquals(server.hasExited, false);
      process.kill(hung, "SIGKILL");
      assertEquals((await server.exited()).status, 0);
      for (const client of clients) await client.dispose();
    } finally {
      await server.dispose();
    }
  });

  for (const afterMs of [0, 150, 300, 600]) {
    it(`ends with status 0 where the whole group is asked to while it starts: ${afterMs} ms`, {
      timeout,
    }, async () => {
      const flags = ["--host", "127.0.0.1", "--port", "0", "--workers", "3"];
      const server = new ServerCommand(["setsid", ...directCommand(OWN_RUNTIME)], flags);
      try {
        while (!server.hasExited && (!isServer(server.pid) || workersOf(server).length < 2)) {
          await quiet(20);
        }
        await quiet(afterMs);
        process.kill(-server.pid, "SIGTERM");
        const { status, stderr } = await server.exited();
        assertEquals([status, /^ +at |Error|can't/m.test(stderr)], [0, false], stderr);
      } finally {
        await server.dispose();
      }
    });
  }
});

describe(`a worker on ${OWN_RUNTIME}`, { skip: skipWorkers }, () => {
  it("ends when its supervisor was killed while it started", { timeout }, async () => {
    const killed = await Promise.all([0, 100, 200, 400].map(async (afterMs) => {
      const flags = ["--host", "127.0.0.1", "--port", "0", "--workers", "2"];
      const server = new ServerCommand(directCommand(OWN_RUNTIME), flags);
      while (!server.hasExited && (!isServer(server.pid) || workersOf(server).length < 2)) {
        await quiet(20);
      }
      const workers = workersOf(server);
      await quiet(afterMs);
      process.kill(server.pid, "SIGKILL");
      return workers;
    }));
    const isThere = (pid: number) => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    assertEquals(killed.flat().length, 8);
    await until("all are gone", () => !killed.flat().some(isThere), 14_000);
  });

  it(
    "ends when it hears nothing while it starts, and serves on under a supervisor that stands still",
    {
      timeout,
    },
    async () => {
      const child = await startChild(
        await detectRuntime(),
        import.meta.resolve("../../../server/workers/worker.ts"),
        ["--allow-net"],
      );
      let hasEnded = false;
      child.once("exit", () => hasEnded = true);
      const server = await ServerCommand.listening(OWN_RUNTIME, ["--workers", "2"]);
      try {
        const workers = workersOf(server).sort();
        process.kill(server.pid, "SIGSTOP");
        const reader = await JanusClient.subscribed(server, "t");
        await quiet(11_500);
        process.kill(server.pid, "SIGCONT");
        reader.send(publish(message("t", "still")));
        assertMatch(await reader.frame(), /still/);
        assertEquals([workersOf(server).sort(), reader.ended], [workers, null]);
        await until("the one that heard nothing has ended", () => hasEnded, 3_000);
        await reader.dispose();
      } finally {
        if (!hasEnded) child.kill("SIGKILL");
        await server.dispose();
      }
    },
  );
});
