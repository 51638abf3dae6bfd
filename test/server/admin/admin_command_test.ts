import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { UsageError } from "../../../cli/command_line.ts";
import { parseCommand } from "../../../server/command/options.ts";
import { health } from "../../support/clients/admin_client.ts";
import { JanusClient } from "../../support/clients/janus_client.ts";
import { directCommand, ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { skipWorkers, workersOf } from "../../support/processes/workers.ts";
import { until } from "../../support/until.ts";

function adminOf(...flags: string[]) {
  const command = parseCommand(flags);
  assert(command.does === "serve");
  return command.options;
}

function adminUrlOf({ stdout }: ServerCommand): string {
  return /, admin on (\S+)\)/.exec(stdout)![1]!;
}

describe("the command line of an admin port", () => {
  it("takes a port, a colon and a port, or a host and a port", () => {
    for (
      const [text, hostname, port] of [
        ["9100", "127.0.0.1", 9100],
        [":0", "127.0.0.1", 0],
        ["localhost:80", "localhost", 80],
        ["127.0.0.2:65535", "127.0.0.2", 65_535],
        ["[::1]:9100", "::1", 9100],
      ] as const
    ) assertEquals(adminOf("--admin", text).admin, { hostname, port }, text);
    assertEquals(adminOf().admin, undefined);
  });

  it("says in one line what is wrong", () => {
    for (
      const [flags, part] of [
        [["--admin", "x"], '--admin must be HOST:PORT, PORT, or :0 for any port, not "x"'],
        [["--admin", "70000"], "--admin must be"],
        [["--admin", "::1:80"], "--admin must be"],
        [["--admin", "[1.2.3.4]:80"], "--admin must be"],
        [["--admin", "0.0.0.0:9100"], "--admin-key-file FILE, or use 127.0.0.1"],
        [["--admin", "[::]:9100"], "--admin-key-file"],
        [["--admin", "example.org:9100"], "--admin-key-file"],
        [["--admin-key-file", "f"], "--admin-key-file needs --admin too"],
        [["--metrics-topics", "a"], "--metrics-topics needs --admin too"],
        [["--admin", ":0", "--metrics-topics", "a,,b"], "--metrics-topics must name topics"],
        [
          ["--admin", ":0", "--metrics-topics", Array.from({ length: 51 }, (_, i) => i).join()],
          "51 topics; 50 at most",
        ],
        [["--drain-delay", "-1"], "--drain-delay must be a whole number"],
      ] as const
    ) {
      const { message } = assertThrows(() => parseCommand(flags), UsageError);
      assertStringIncludes(message, part);
      assert(!message.includes("\n"));
    }
  });
});

for (const runtime of TESTED_RUNTIMES) {
  describe(`${runtime}'s server with an admin port`, () => {
    it("isn't ready from the signal on, goes on accepting for the delay, and stops in order", {
      timeout: 60_000,
    }, async () => {
      const server = await ServerCommand.listening(runtime, [
        "--admin",
        ":0",
        "--drain-delay",
        "2",
      ]);
      const url = adminUrlOf(server);
      assertEquals(await health(url, "readyz"), { status: 200, reasons: [] });
      server.signal("SIGTERM");
      await until("the signal has come", () => server.stderr.includes("serving on for 2 s"));
      assertEquals((await health(url, "readyz")).status, 503);
      assertEquals((await health(url, "livez")).status, 200);
      const client = await JanusClient.subscribed(server, "t");
      assertEquals((await server.exited()).status, 0);
      await client.dispose();
    });

    it("says in one line if another program has its admin port", async () => {
      const first = await ServerCommand.listening(runtime, ["--admin", ":0"]);
      try {
        const { port } = new URL(adminUrlOf(first));
        for (const workers of ["1", "2"]) {
          const flags = ["--port", "0", "--admin", port, "--workers", workers];
          const second = new ServerCommand(directCommand(runtime), flags);
          const { status, stderr } = await second.exited();
          assertEquals(status, 1);
          assertStringIncludes(
            stderr,
            `can't open the admin port on 127.0.0.1:${port}: another program listens there`,
          );
        }
      } finally {
        await first.dispose();
      }
    });

    it("says in the same words on both runtimes why it can't have an address", async () => {
      const folder = mkdtempSync(join(tmpdir(), "hotwheels-"));
      const keys = join(folder, "keys");
      writeFileSync(keys, "a key of some length\n", { mode: 0o600 });
      for (
        const [address, why] of [
          ["192.0.2.1:9100", "this machine has no such address"],
          ["host.invalid:9100", "no such host"],
        ] as const
      ) {
        const flags = ["--port", "0", "--admin", address, "--admin-key-file", keys];
        const { status, stderr } = await new ServerCommand(directCommand(runtime), flags).exited();
        assertEquals(status, 1);
        assertEquals(stderr, `hotwheels: can't open the admin port on ${address}: ${why}\n`);
      }
      rmSync(folder, { recursive: true });
    });

    it("reads its keys again on SIGHUP", { timeout: 60_000 }, async () => {
      const folder = mkdtempSync(join(tmpdir(), "hotwheels-"));
      const file = join(folder, "keys");
      writeFileSync(file, "the first of two keys\n", { mode: 0o600 });
      const flags = ["--admin", "0.0.0.0:0", "--admin-key-file", file];
      const server = await ServerCommand.listening(runtime, flags);
      try {
        const url = adminUrlOf(server).replace("0.0.0.0", "127.0.0.1");
        const ask = async (key: string) => {
          const headers = { authorization: `Bearer ${key}` };
          return (await fetch(`${url}/metrics`, { headers })).status;
        };
        assertEquals(await ask("the first of two keys"), 200);
        writeFileSync(file, "the second of two keys\n");
        process.kill(server.pid, "SIGHUP");
        await until("they are read", () => server.stderr.includes("keys are renewed"));
        assertEquals(await ask("the first of two keys"), 401);
        assertEquals(await ask("the second of two keys"), 200);
      } finally {
        await server.dispose();
        rmSync(folder, { recursive: true });
      }
    });

    it("is ready only while all workers are up, and goes on for the delay with workers too", {
      timeout: 60_000,
      skip: skipWorkers,
    }, async () => {
      const flags = ["--workers", "2", "--admin", ":0", "--drain-delay", "2"];
      const server = await ServerCommand.listening(runtime, flags);
      try {
        const url = adminUrlOf(server);
        assertEquals(await health(url, "readyz"), { status: 200, reasons: [] });
        const [hung = 0] = workersOf(server);
        process.kill(hung, "SIGSTOP");
        await sleep(2_500);
        const { status, reasons } = await health(url, "readyz");
        process.kill(hung, "SIGCONT");
        assertEquals(status, 503);
        assert(/^worker-\d has given no sign of life for \d+\.\d s$/.test(reasons[0]!), reasons[0]);
        assertEquals((await health(url, "livez")).status, 200);
        for (let tries = 0; (await health(url, "readyz")).status !== 200; tries++) {
          assert(tries < 50);
          await sleep(200);
        }
        // As a terminal does, to all of them.
        for (const pid of [server.pid, ...workersOf(server)]) process.kill(pid, "SIGTERM");
        await sleep(500);
        assertEquals((await health(url, "readyz")).reasons, ["the server is stopping"]);
        const client = await JanusClient.subscribed(server, "t");
        assertEquals(workersOf(server).length, 2);
        assertEquals((await server.exited()).status, 0);
        await client.dispose();
      } finally {
        await server.dispose();
      }
    });
  });
}
