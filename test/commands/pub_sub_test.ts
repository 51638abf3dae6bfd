import { assert, assertEquals, assertMatch } from "@std/assert";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { findProgram, PROJECT_ROOT } from "../../cli/program.ts";
import { JanusClient, message, publish } from "../support/clients/janus_client.ts";
import { CommandProcess } from "../support/processes/command_process.ts";
import { ServerCommand } from "../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../support/processes/tested_runtimes.ts";
import { until } from "../support/until.ts";

const timeout = 60_000;

const skip = process.platform === "win32" ? "needs a POSIX shell" : false;

const CERTIFICATES = join(PROJECT_ROOT, "test", "support", "certificates");

for (const runtime of TESTED_RUNTIMES) {
  describe(`pub and sub on ${runtime}`, { skip }, () => {
    const folder = mkdtempSync(join(tmpdir(), "hotwheels-pub-sub-"));
    let server: ServerCommand;
    before(async () => {
      server = await ServerCommand.listening(runtime);
    }, { timeout });
    after(async () => {
      await server.dispose();
      rmSync(folder, { recursive: true });
    }, { timeout });

    /** A command as a user runs it: Deno gets no more than its task's permissions. */
    function start(name: "pub" | "sub", ...args: string[]): CommandProcess {
      const { path } = findProgram(runtime);
      const command = runtime === "deno" ? ["task", "-q", name] : ["run", `commands/${name}.ts`];
      const { PATH, HOME } = process.env;
      return new CommandProcess(
        spawn(path, [...command, ...args], {
          cwd: PROJECT_ROOT,
          env: { PATH, HOME, NO_COLOR: "1" },
          stdio: ["ignore", "pipe", "pipe"],
        }),
      );
    }

    const here = () => ["--host", "127.0.0.1", "--port", `${server.port}`];

    async function subscribed(...args: string[]): Promise<CommandProcess> {
      const command = start("sub", ...args);
      await until("it has subscribed", () => command.stderr.includes("subscribed to"), 30_000);
      return command;
    }

    it("carry what is published, a line a message, as it is spelled", { timeout }, async () => {
      const plain = await subscribed("t", "another", "--count", "3", ...here());
      const whole = await subscribed("t", "--json", "--count", "2", ...here());
      assertEquals(plain.stderr, `sub: subscribed to "t", "another" at 127.0.0.1:${server.port}\n`);
      const quiet = await start(
        "pub",
        "t",
        '{"a": 1.0,\n"b": "\u001f"}'.replace("\u001f", "\\u001f"),
        ...here(),
      ).ended;
      assertEquals(quiet, { status: 0, stdout: "", stderr: "" });
      const counted = await start("pub", "t", '"two"', "--receipt", ...here()).ended;
      assertEquals(counted.stdout, "matched 2, written 2, queued 0, evicted 0\n");
      const json = await start("pub", "another", "3", "--json", ...here()).ended;
      assertEquals(JSON.parse(json.stdout).receipt.matched, 1);
      assertEquals(await plain.ended, {
        status: 0,
        stdout: '{"a": 1.0, "b": "\\u001f"}\n"two"\n3\n',
        stderr: plain.stderr,
      });
      const lines = (await whole.ended).stdout.split("\n");
      assertEquals(lines.length, 3);
      const [first, second] = lines.slice(0, 2).map((line) => JSON.parse(line));
      assertEquals([first.topic, first.data], ["t", { a: 1, b: "\u001f" }]);
      assertEquals([second.topic, second.data, second.timestamp.length], ["t", "two", 3]);
    });

    it("say why the server refuses them, or that there is none", { timeout }, async () => {
      const guarded = await ServerCommand.listening(runtime, ["--publish-from", "192.0.2.1"]);
      const at = ["--host", "127.0.0.1", "--port", `${guarded.port}`];
      try {
        const { status, stderr } = await start("pub", "t", "1", ...at).ended;
        assertEquals(status, 1);
        assertMatch(stderr, /^pub: the server says forbidden: [^\n]+\n$/);
        const listener = await subscribed("t", ...at);
        guarded.signal("SIGTERM");
        const end = await listener.ended;
        assertEquals(end.status, 1);
        assertMatch(end.stderr, /\nsub: the server says server_shutdown: [^\n]+\n$/);
      } finally {
        await guarded.dispose();
      }
      const nobody = await start("sub", "t", "--host", "127.0.0.1", "--port", "1").ended;
      assertEquals(nobody.status, 1);
      assertMatch(nobody.stderr, /^sub: [^\n]*127\.0\.0\.1:1[^\n]*refused\n$/);
    });

    it("refuse what is no topic and no JSON, and say what is wrong", { timeout }, async () => {
      for (
        const [name, args, words] of [
          ["pub", [], /^pub: TOPIC is missing/],
          ["pub", ["t"], /^pub: JSON is missing/],
          ["pub", ["t", "hello"], /^pub: JSON must be JSON, [^\n]*not "hello"\n$/],
          ["pub", ["", "1"], /^pub: TOPIC "" /],
          ["sub", [], /^sub: TOPIC is missing/],
          ["sub", ["t", "--cuont", "1"], /did you mean --count\?\n$/],
          ["sub", ["t", "--ca", "x"], /^sub: --ca is for --tls/],
        ] as const
      ) {
        const { status, stdout, stderr } = await start(name, ...args).ended;
        assertEquals([status, stdout], [2, ""]);
        assertMatch(stderr, words);
      }
    });

    it("speak TLS, and show keys from files", { timeout }, async () => {
      writeFileSync(join(folder, "keys"), "the key of all\n");
      const guarded = await ServerCommand.listening(runtime, [
        ...[
          "--tls-cert",
          join(CERTIFICATES, "first.crt"),
          "--tls-key",
          join(CERTIFICATES, "first.key"),
        ],
        ...[
          "--publish-key-file",
          join(folder, "keys"),
          "--subscribe-key-file",
          join(folder, "keys"),
        ],
      ], runtime === "deno" ? [findProgram("deno").path, "task", "-q", "serve"] : undefined);
      const at = [
        ...["--host", "localhost", "--port", `${guarded.port}`, "--tls"],
        ...["--ca", join(CERTIFICATES, "first.crt"), "--key-file", join(folder, "keys")],
      ];
      try {
        const listener = await subscribed("t", "--count", "1", ...at);
        assertEquals((await start("pub", "t", "[1]", ...at).ended).status, 0);
        assertEquals((await listener.ended).stdout, "[1]\n");
      } finally {
        guarded.signal("SIGTERM");
        await guarded.exited();
      }
    });

    it("end without a word when the reader of their output is gone", { timeout }, async () => {
      const { path } = findProgram(runtime);
      const command = runtime === "deno" ? `task -q sub` : `run commands/sub.ts`;
      const child = spawn("sh", ["-c", `"$0" ${command} t ${here().join(" ")} | head -n 1`, path], {
        cwd: PROJECT_ROOT,
        stdio: ["ignore", "pipe", "pipe"],
      });
      const both = new CommandProcess(child);
      await until("it has subscribed", () => both.stderr.includes("subscribed to"), 30_000);
      const publisher = await JanusClient.greeted(server);
      let hasEnded = false;
      both.ended.then(() => hasEnded = true);
      for (let n = 0; !hasEnded; n++) {
        publisher.send(publish(message("t", `number ${n}`)));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await publisher.dispose();
      const { stdout, stderr } = await both.ended;
      assertEquals(stdout, '"number 0"\n');
      assertEquals(stderr.split("\n").length, 2, stderr);
    });

    it("take no other server for one of theirs", { timeout }, async () => {
      const other = createServer((socket) => {
        socket.on("error", () => {});
        socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
      });
      await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
      const address = other.address();
      assert(typeof address === "object" && address !== null);
      const args = ["t", "--host", "127.0.0.1", "--port", `${address.port}`];
      const { status, stderr } = await start("sub", ...args).ended;
      other.close();
      assertEquals(status, 1);
      assertMatch(stderr, /^sub: the server closed the connection\n$/);
    });
  });
}
