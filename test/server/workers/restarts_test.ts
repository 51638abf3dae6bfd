import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import { spawnSync } from "node:child_process";
import { copyFileSync, linkSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { tmpdir } from "node:os";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import denoConfig from "../../../deno.json" with { type: "json" };
import { findProgram, PROJECT_ROOT } from "../../../cli/program.ts";
import { JanusClient, message, publish } from "../../support/clients/janus_client.ts";
import { directCommand, ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { until } from "../../support/until.ts";
import { skipWorkers, workersOf } from "../../support/processes/workers.ts";

const OWN_RUNTIME = TESTED_RUNTIMES[0]!;

const timeout = 60_000;

const isDeno = OWN_RUNTIME === "deno";

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "hotwheels-restarts-"));
  try {
    await test(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function withServer(
  workers: number,
  test: (server: ServerCommand) => Promise<void>,
  command = directCommand(OWN_RUNTIME),
): Promise<void> {
  const server = await ServerCommand.listening(
    OWN_RUNTIME,
    ["--workers", String(workers)],
    command,
  );
  try {
    await test(server);
  } finally {
    await server.dispose();
  }
}

function countOf(text: string, words: string): number {
  return text.split(words).length - 1;
}

/** True if a message of one client reaches another. */
async function delivers(server: ServerCommand): Promise<void> {
  const reader = await JanusClient.subscribed(server, "t");
  const publisher = await JanusClient.greeted(server);
  publisher.send(publish(message("t", "well")));
  assertMatch(await reader.frame(), /well/);
  for (const client of [reader, publisher]) await client.dispose();
}

/** Kills a worker, and waits for its successor, which serves with the others. */
async function replaceOne(server: ServerCommand): Promise<void> {
  const joined = countOf(server.stderr, "has joined");
  process.kill(workersOf(server)[0]!, "SIGKILL");
  await until(
    "a new one has joined",
    () => countOf(server.stderr, "has joined") > joined || server.hasExited,
    20_000,
  );
  assertEquals(server.hasExited, false, server.stderr);
  for (let i = 0; i < 5; i++) await delivers(server);
}

/** The names of the Unix sockets on which a process listens. Those that are no files begin with `@`. */
function socketNamesOf(pid: number): string[] {
  const look = `cat /proc/net/unix; ls -l "/proc/$1/fd"`;
  const { stdout } = spawnSync("sh", ["-c", look, "sh", String(pid)], { encoding: "utf8" });
  const own = new Set([...stdout.matchAll(/socket:\[(\d+)\]/g)].map(([, inode]) => inode));
  // Type 1 and the flag of a listener.
  return [...stdout.matchAll(/ 00010000 0001 01 +(\d+) (\S+)$/gm)]
    .flatMap(([, inode, name]) => own.has(inode) ? [name!] : []);
}

/** The number of sockets that a process has open. */
function socketCountOf(pid: number): number {
  const { stdout } = spawnSync("ls", ["-l", `/proc/${pid}/fd`], { encoding: "utf8" });
  return countOf(stdout, "socket:[");
}

describe(`a worker on ${OWN_RUNTIME} that dies`, { skip: skipWorkers }, () => {
  it("leaves its supervisor no socket, though orders wait for it", { timeout }, async () => {
    const flags = ["--workers", "2", "--admin", ":0"];
    const command = directCommand(OWN_RUNTIME);
    const server = await ServerCommand.listening(OWN_RUNTIME, flags, command);
    try {
      const before = socketCountOf(server.pid);
      assertGreater(before, 0);
      for (let round = 0; round < 3; round++) {
        const [worker] = workersOf(server) as [number];
        process.kill(worker, "SIGSTOP");
        // The supervisor goes on telling it about the others.
        await sleep(1_500);
        const joined = countOf(server.stderr, "has joined");
        process.kill(worker, "SIGKILL");
        await until("a new one joins", () => countOf(server.stderr, "has joined") > joined, 20_000);
      }
      await until("nothing is left of them", () => socketCountOf(server.pid) <= before, 10_000);
    } finally {
      await server.dispose();
    }
  });

  it("is replaced although the directory is gone in which the server was started", {
    timeout,
  }, async () => {
    await withFolder(async (folder) => {
      const { path } = findProgram(OWN_RUNTIME);
      const command = isDeno ? ["env", `INIT_CWD=${folder}`, ...directCommand("deno")] : [
        "sh",
        "-c",
        'cd "$0" && exec "$@"',
        folder,
        path,
        "run",
        `${PROJECT_ROOT}server/main.ts`,
      ];
      await withServer(2, async (server) => {
        rmSync(folder, { recursive: true });
        await replaceOne(server);
        server.signal("SIGTERM");
        assertEquals((await server.exited()).status, 0);
      }, command);
    });
  });

  it("is replaced although directories for sockets are cleaned away", { timeout }, async () => {
    await withServer(2, async (server) => {
      for (const worker of workersOf(server)) {
        const names = socketNamesOf(worker);
        assertEquals(names.length, 1, names.join());
        for (const name of names) {
          if (name.startsWith("/")) rmSync(dirname(name), { recursive: true, force: true });
        }
      }
      await replaceOne(server);
      await replaceOne(server);
    });
  });

  it("is replaced although nothing can be written to /tmp", {
    timeout,
    skip: spawnSync("unshare", ["-rm", "true"]).status === 0 ? false : "needs a mount namespace",
  }, async () => {
    const mount = "mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp && ! touch /tmp/x";
    const command = ["unshare", "-rm", "sh", "-c", `${mount} 2>/dev/null && exec "$0" "$@"`];
    await withServer(2, replaceOne, [...command, ...directCommand(OWN_RUNTIME)]);
  });

  it("leaves the others serving where its runtime is gone, and is replaced when it can be", {
    timeout,
  }, async () => {
    await withFolder(async (folder) => {
      const { path } = findProgram(OWN_RUNTIME);
      const [here, away] = [join(folder, OWN_RUNTIME), join(folder, "away")];
      try {
        linkSync(path, here);
      } catch {
        copyFileSync(path, here);
      }
      const script = `${PROJECT_ROOT}server/main.ts`;
      const [, flags = ""] = / (run .*) server\/main\.ts$/.exec(denoConfig.tasks.serve) ?? [];
      const command = isDeno
        ? [here, ...flags.split(" "), `--allow-run=${here}`, "--allow-env=NODE_V8_COVERAGE", script]
        : [here, "run", script];
      await withServer(2, async (server) => {
        const clients = await Promise.all(
          Array.from({ length: 20 }, () => JanusClient.subscribed(server, "t")),
        );
        renameSync(here, away);
        if (isDeno) {
          process.kill(workersOf(server)[0]!, "SIGKILL");
          const failures = () =>
            countOf(server.stderr, "worker-1 can't be started: ") +
            countOf(server.stderr, "worker-2 can't be started: ");
          // More than the deaths that would have been too many for all of them.
          await until("it has failed again and again", () => failures() >= 5 || server.hasExited);
          assertEquals(server.hasExited, false, server.stderr);
          assertMatch(server.stderr, /1 of 2 left; a new one starts in \d+ ms\n/);
          await delivers(server);
          renameSync(away, here);
          await until("it has joined", () => server.stderr.includes("has joined"), 20_000);
        } else await replaceOne(server);
        const kept = clients.filter(({ ended }) => ended === null);
        assert(kept.length > 0 && kept.length < 20, `${kept.length} of 20 are left`);
        await delivers(server);
        for (const client of clients) await client.dispose();
      }, command);
    });
  });

  it("is replaced by what still runs where its runtime is gone for good", {
    timeout,
  }, async () => {
    await withFolder(async (folder) => {
      const here = join(folder, OWN_RUNTIME);
      copyFileSync(findProgram(OWN_RUNTIME).path, here);
      const command = isDeno
        ? [here, "task", "-q", "serve"]
        : [here, "run", `${PROJECT_ROOT}server/main.ts`];
      const server = await ServerCommand.listening(OWN_RUNTIME, ["--workers", "2"], command);
      try {
        rmSync(here);
        const pid = Number(/ pid (\d+)/.exec(server.stdout)![1]);
        process.kill(workersOf({ pid })[0]!, "SIGKILL");
        await until("a new one has joined", () => server.stderr.includes("has joined"), 20_000);
        await delivers(server);
        process.kill(pid, "SIGTERM");
        assertEquals((await server.exited()).status, 0);
      } finally {
        await server.dispose();
      }
    });
  });

  it("with four others at once takes no client of the one that lives along", {
    timeout,
  }, async () => {
    await withServer(6, async (server) => {
      const clients = await Promise.all(
        Array.from({ length: 60 }, () => JanusClient.subscribed(server, "t")),
      );
      for (const worker of workersOf(server).slice(0, 5)) process.kill(worker, "SIGKILL");
      await until(
        "five have joined",
        () => countOf(server.stderr, "has joined") === 5 || server.hasExited,
        40_000,
      );
      assertEquals(server.hasExited, false, server.stderr);
      const kept = clients.filter(({ ended }) => ended === null);
      assert(kept.length > 0 && kept.length < 60, `${kept.length} of 60 are left`);
      const publisher = await JanusClient.greeted(server);
      publisher.send(publish(message("t", "on")));
      for (const client of kept) assertMatch(await client.frame(), /"on"/);
      for (const client of [publisher, ...clients]) await client.dispose();
    });
  });

  it("is what ends the server only when no other is left, again and again", {
    timeout,
  }, async () => {
    await withServer(2, async (server) => {
      const killer = setInterval(() => {
        for (const worker of workersOf(server)) {
          try {
            process.kill(worker, "SIGKILL");
          } catch {
            // It has just gone.
          }
        }
      }, 50);
      try {
        const { status, stderr } = await server.exited();
        assertEquals(status, 1);
        assertMatch(
          stderr,
          /\nhotwheels: no worker is left and none can be started, the last one, worker-\d, [^\n]*: giving up\n$/,
        );
      } finally {
        clearInterval(killer);
      }
    });
  });
});
