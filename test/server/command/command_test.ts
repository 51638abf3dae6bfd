import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import process from "node:process";
import { describe, it } from "node:test";
import { findProgram, PROJECT_ROOT, type RuntimeName } from "../../../cli/program.ts";
import { HELP } from "../../../server/command/help.ts";
import { errorOf, JanusClient } from "../../support/clients/janus_client.ts";
import { directCommand, type Exit, ServerCommand } from "../../support/processes/server_command.ts";
import { isOwnHalf, TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { withCommand, type WithServer } from "./command_bed.ts";

/** Command lines that can't be understood, and what the one line must name. */
const BAD_LINES: readonly (readonly [string, string])[] = [
  ["--nonsense", "--nonsense"],
  ["--max-conections=5", "did you mean --max-connections?"],
  ["-p 5", "-p"],
  ["extra", "extra"],
  ["--prot 5", "did you mean --port?"],
  ["--port", "--port"],
  ["--port x", '"x"'],
  ["--port 65536", "65536"],
  ["--port 1 --port 2", "--port"],
  ["--port 8e3", '"8e3"'],
  ["--host a/b", '"a/b"'],
  ["--max-connections 0", '"0"'],
  ["--max-connections -1", 'whole number from 1 to 1000000, not "-1"'],
  ["--max-connections-per-ip 0", '"0"'],
  ["--accept-rate 1.5", '"1.5"'],
  ["--max-frame-bytes 63", '"63"'],
  ["--max-topic-bytes 257", '"257"'],
  ["--max-topics many", '"many"'],
  ["--max-topics-total 0", '"0"'],
  ["--max-memory 134217727", "134217728 at least"],
  ["--max-memory 300000000 --workers 2", "lower --workers"],
  ["--max-pending-bytes 1024", "1024"],
  ["--publish-rate fast", '"fast"'],
  ["--publish-from 10.0.0.0/8,nowhere", '"nowhere"'],
  ["--subscribe-from 10.0.0.0/33", '"10.0.0.0/33"'],
  ["--max-wrong-keys none", '"none"'],
  ["--write-deadline 5", '"5"'],
  ["--write-deadline 0s", '"0s"'],
  ["--idle-timeout 25h", '"25h"'],
  ["--ping-after 2days", '"2days"'],
  ["--legacy-idle-timeout 0s", '"0s"'],
  ["--legacy-idle-timeout never", '"never"'],
  ["--history-time forever", '"forever"'],
  ["--history-messages 0", '"0"'],
  ["--history-topics a,,b", '"a,,b"'],
  ["--drain-seconds soon", '"soon"'],
  ["--drain-seconds 3601", '"3601"'],
  ["--log-level loud", '"loud"'],
  ["--workers none", '"none"'],
];

/** The prefix that takes away a command's right to listen on port 1, if there is one. */
const withoutRights = process.getuid?.() !== 0
  ? []
  : spawnSync("setpriv", ["--version"]).status === 0
  ? ["setpriv", "--inh-caps=-all", "--bounding-set=-net_bind_service"]
  : undefined;

const hasIpv6 = Object.values(networkInterfaces()).flat().some((at) => at?.address === "::1");

async function run(runtime: RuntimeName, flags: readonly string[]): Promise<Exit> {
  return await new ServerCommand(directCommand(runtime), flags).exited();
}

/** It ended with this status and one line of error that names the word, without a stack. */
function assertRefused(exit: Exit, status: number, word: string): void {
  assertEquals([exit.status, exit.stdout], [status, ""], exit.stderr);
  assertMatch(exit.stderr, /^hotwheels: [^\n]+\n$/);
  assertStringIncludes(exit.stderr, word);
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`the server's command on ${runtime}`, () => {
    const withServer: WithServer = (flags, test) => withCommand(runtime, flags, test);

    it("says in one line where it listens, on what, and how many it takes", async () => {
      await withServer(["--max-connections", "123"], async (server) => {
        const line = new RegExp(
          `^hotwheels listening on 127\\.0\\.0\\.1:(\\d+) \\(${runtime} \\d+\\.\\d+\\.\\d+, ` +
            `pid ${server.pid}, at most 123 connections\\)\\n$`,
        );
        assertMatch(server.stdout, line);
        const client = await JanusClient.greeted(server);
        await client.dispose();
        server.signal("SIGTERM");
        const { status, stdout, stderr } = await server.exited();
        assertEquals(status, 0);
        assertMatch(stdout, line);
        assertMatch(stderr, /^\S+ \[info\] hotwheels: got SIGTERM: .*\n.* stopped after .*\n$/);
      });
    });

    it("writes an IPv6 address so that its port can be told from it", {
      skip: hasIpv6 ? false : "there is no IPv6 on the loopback",
    }, async () => {
      await withServer(["--host", "::1"], async (server) => {
        assertMatch(server.stdout, /^hotwheels listening on \[::1\]:\d+ \(/);
        const client = await JanusClient.greeted({ hostname: "::1", port: server.port });
        await client.dispose();
      });
    });

    it("takes as many as the descriptor limit leaves unless told otherwise", async () => {
      const limited = ["sh", "-c", 'ulimit -n 300; exec "$@"', "sh", ...directCommand(runtime)];
      const server = await ServerCommand.listening(runtime, [], limited);
      try {
        assertStringIncludes(server.stdout, `at most ${300 - 64} connections`);
      } finally {
        server.signal("SIGTERM");
        await server.exited();
      }
    });

    for (const workers of process.platform === "linux" ? [1, 2] : [1]) {
      it(`takes no more than that whatever it's told, workers: ${workers}`, async () => {
        const command = runtime === "deno"
          ? [findProgram("deno").path, "task", "-q", "serve"]
          : directCommand(runtime);
        const limited = ["sh", "-c", 'ulimit -n 300; exec "$@"', "sh", ...command];
        const flags = ["--max-connections", "1000000", "--workers", `${workers}`];
        const server = await ServerCommand.listening(runtime, flags, limited);
        try {
          // Each is linked with every other, both ways, and during a roll with one more.
          const most = workers * (300 - 64 - (workers === 1 ? 0 : 2 * workers));
          assertStringIncludes(server.stdout, `at most ${most} connections`);
          assertMatch(server.stderr, /^hotwheels: 1000000 connections in .* 300 are allowed; /);
        } finally {
          server.signal("SIGTERM");
          await server.exited();
        }
      });
    }

    it("prints its flags when asked for help", async () => {
      const { status, stdout, stderr } = await run(runtime, ["--help", "--port", "7"]);
      assertEquals([status, stderr], [0, ""]);
      assertEquals(stdout, HELP);
      assertMatch(stdout, /deno task -q serve/);
      assertMatch(stdout, /bun run server\/main\.ts/);
    });

    it("prints its version, and the runtime's", async () => {
      const { version } = JSON.parse(readFileSync(`${PROJECT_ROOT}deno.json`, "utf8"));
      assertEquals(await run(runtime, ["--version"]), {
        status: 0,
        signal: null,
        stdout: `${version} (${runtime} ${findProgram(runtime).version})\n`,
        stderr: "",
      });
    });

    // A line is parsed alike on both.
    for (const [line, word] of BAD_LINES.filter((_, at) => isOwnHalf(at))) {
      it(`refuses ${line} in one line with status 2`, async () => {
        assertRefused(await run(runtime, line.split(" ")), 2, word);
      });
    }

    it("takes times in fractions of a second and of a millisecond", async () => {
      await withServer(["--idle-timeout", "0.4s", "--ping-after", "300.5ms"], async (server) => {
        const client = await JanusClient.greeted(server);
        client.send("\0");
        assertEquals(await client.frame(), "PING");
        assertEquals(errorOf(await client.frame()).code, "idle_timeout");
        await client.dispose();
      });
    });

    it("says in one line that the port is in use, with status 1", async () => {
      const other = createServer().listen(0, "127.0.0.1");
      await new Promise((resolve) => other.once("listening", resolve));
      const { port } = other.address() as { port: number };
      try {
        const flags = ["--host", "127.0.0.1", "--port", String(port)];
        assertRefused(await run(runtime, flags), 1, String(port));
      } finally {
        other.close();
      }
    });

    it("says in one line that the address isn't this machine's, with status 1", async () => {
      assertRefused(await run(runtime, ["--host", "192.0.2.1", "--port", "0"]), 1, "192.0.2.1");
      const unknown = "no-such-host.invalid";
      assertRefused(await run(runtime, ["--host", unknown, "--port", "0"]), 1, unknown);
    });

    it("says in one line that the port needs more rights, with status 1", {
      skip: withoutRights === undefined ? "root may listen on any port here" : false,
    }, async () => {
      const command = [...withoutRights ?? [], ...directCommand(runtime)];
      const flags = ["--host", "127.0.0.1", "--port", "1"];
      assertRefused(await new ServerCommand(command, flags).exited(), 1, "127.0.0.1:1");
    });

    it("says in one line that a file of keys is missing or empty, with status 1", async () => {
      const directory = mkdtempSync("/tmp/hotwheels-test-");
      try {
        const missing = `${directory}/none`;
        assertRefused(await run(runtime, ["--publish-key-file", missing]), 1, missing);
        const empty = `${directory}/empty`;
        writeFileSync(empty, " \n\n");
        assertRefused(await run(runtime, ["--subscribe-key-file", empty]), 1, empty);
      } finally {
        rmSync(directory, { recursive: true });
      }
    });
  });
}
