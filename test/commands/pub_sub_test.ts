import { assert, assertEquals, assertMatch } from "@std/assert";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { findProgram, PROJECT_ROOT } from "../../cli/program.ts";
import { MachineBed } from "../support/client/machine_bed.ts";
import { JanusClient, message, publish } from "../support/clients/janus_client.ts";
import { CommandProcess, startTask } from "../support/processes/command_process.ts";
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

    const start = (name: "pub" | "sub", ...args: string[]) => startTask(runtime, name, args);

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

    it("take an address with a zone, and nothing that can't be a host", { timeout }, async () => {
      for (const host of ["a b", "a/b", "127.0.0.1:8081", "1.2.3.4.5"]) {
        const { status, stderr } = await start("sub", "t", "--host", host).ended;
        assertEquals([status, stderr.split("\n").length], [2, 2], stderr);
        assertMatch(stderr, /--host must be a name or an IP address, .*, not "/);
      }
      const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
      if (!addresses.some(({ address }) => address === "::1")) return;
      const six = await ServerCommand.listening(runtime, ["--host", "::1"]);
      try {
        const at = ["--host", "::1%1", "--port", `${six.port}`];
        const command = await start("pub", "t", "1", "--receipt", ...at).ended;
        assertEquals(command.stdout, "matched 0, written 0, queued 0, evicted 0\n", command.stderr);
      } finally {
        await six.dispose();
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

    it("carry numbers, members and topics in their order", { timeout }, async () => {
      const listener = await subscribed("a", "b", "c", "a", "--count", "9", ...here());
      const publisher = await JanusClient.greeted(server);
      const topics = ["a", "a", "b", "c", "c", "a", "b", "b"];
      const texts = topics.map((topic, at) => `{"topic":"${topic}","data":[${at}, 1.0,1e400]}`);
      publisher.send(texts.map((text) => `PUBLISH\0${text}\0`).join(""));
      const big = '{"a":12345678901234567890,"a":-0}';
      const { stdout } = await start("pub", "c", big, "--json", ...here()).ended;
      assertMatch(
        stdout,
        /^\{"timestamp":\[\d+,\d+,\d+\],"receipt":\{"matched":1,"written":1,"queued":0,"evicted":0\}\}\n$/,
      );
      const lines = topics.map((_, at) => `[${at}, 1.0,1e400]\n`).join("");
      assertEquals((await listener.ended).stdout, `${lines}${big}\n`);
      await publisher.dispose();
    });

    it("come back if they are told to, and say where messages may be missing", {
      timeout,
    }, async () => {
      const bed = new MachineBed(runtime);
      try {
        const first = await bed.start(["--drain-seconds", "0"]);
        const proxy = await bed.proxy(first.tcp);
        const at = ["--host", "127.0.0.1", "--port", `${proxy}`];
        const once = await subscribed("t", ...at);
        const listener = await subscribed("t", "--reconnect", "--count", "3", ...at);
        const direct = (port: number) => ["--host", "127.0.0.1", "--port", `${port}`];
        await bed.disturb(proxy, "close");
        const { status, stderr } = await once.ended;
        assertEquals(status, 1);
        assertMatch(stderr, /\nsub: the (server closed the connection|connection is lost)\n$/);
        await start("pub", "t", '"missed"', ...direct(first.tcp)).ended;
        await bed.disturb(proxy, "open");
        await until("it is back", () => listener.stderr.includes("nothing is missing"), 30_000);
        await start("pub", "t", '"old"', ...direct(first.tcp)).ended;
        await bed.stop(first.id, "SIGKILL");
        await bed.aim(proxy, (await bed.restart(first.id)).tcp);
        await until("it is back", () => listener.stderr.includes("may be missing"), 30_000);
        await start("pub", "t", '"new"', ...at).ended;
        const end = await listener.ended;
        assertEquals([end.status, end.stdout], [0, '"missed"\n"old"\n"new"\n']);
        assertMatch(
          end.stderr,
          /\nsub: subscribed to "t" again; messages may be missing here: unknown_origin\n$/,
        );
      } finally {
        await bed.dispose();
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
      assertMatch(
        stderr,
        /^sub: what answers at 127\.0\.0\.1:\d+ is no Hotwheels server; [^\n]+\n$/,
      );
    });
  });
}
