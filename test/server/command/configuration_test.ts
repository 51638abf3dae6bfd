import { assert, assertEquals, assertMatch } from "@std/assert";
import { parse } from "@std/jsonc/parse";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { VALUE_FLAGS } from "../../../server/command/flags.ts";
import { authenticate, JanusClient } from "../../support/clients/janus_client.ts";
import { type CommandProcess, startTask } from "../../support/processes/command_process.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { workersOf } from "../../support/processes/workers.ts";
import { until } from "../../support/until.ts";

const timeout = 60_000;

const skip = process.platform === "win32" ? "needs a POSIX shell" : false;

type Variables = Readonly<Record<string, string>>;

for (const runtime of TESTED_RUNTIMES) {
  describe(`the configuration of a server on ${runtime}`, { skip }, () => {
    const folder = mkdtempSync(join(tmpdir(), "hotwheels-configuration-"));
    after(() => rmSync(folder, { recursive: true }));

    /** Starts the server as a user does; Deno gets no more than its task's permissions. */
    function start(flags: readonly string[], variables: Variables = {}): CommandProcess {
      return startTask(runtime, "serve", flags, variables);
    }

    function write(name: string, text: string): string {
      const path = join(folder, name);
      mkdirSync(join(path, ".."), { recursive: true });
      writeFileSync(path, text);
      return path;
    }

    /** The values in force, and the comments behind them. */
    async function printed(flags: readonly string[], variables: Variables = {}) {
      const { status, stdout, stderr } = await start(["--print-config", ...flags], variables).ended;
      assertEquals([status, stderr], [0, ""]);
      const values = parse(stdout) as Record<string, unknown>;
      const from = (flag: string) => new RegExp(`"${flag}": .*?, // (.*)`).exec(stdout)?.[1];
      return { values, from, text: stdout };
    }

    async function refusal(flags: readonly string[], variables: Variables = {}): Promise<string> {
      const { status, stdout, stderr } = await start(flags, variables).ended;
      assertEquals([status, stdout], [2, ""], stderr);
      assertMatch(stderr, /^hotwheels: [^\n]+\n$/);
      return stderr.slice("hotwheels: ".length).trimEnd();
    }

    it(
      "is of the command line, then of the environment, then of the file",
      { timeout },
      async () => {
        const path = write(
          "a.jsonc",
          '{ /* all three */ "port": 1, "max-topics": 5,\n "host": "::1", }',
        );
        const { values, from } = await printed(["--port", "3", "--config", path], {
          HOTWHEELS_PORT: "2",
          HOTWHEELS_MAX_TOPICS: "6",
          HOTWHEELS_PING_AFTER: "1500ms",
          // Compose files set variables that have no value.
          HOTWHEELS_TLS_CERT: "",
        });
        const inForce = ["port", "max-topics", "host", "ping-after", "tls-cert"];
        assertEquals(inForce.map((flag) => values[flag]), [3, 6, "::1", "1500ms", undefined]);
        assertEquals(
          ["port", "max-topics", "ping-after", "host", "max-frame-bytes"].map(from),
          [
            "--port",
            "HOTWHEELS_MAX_TOPICS",
            "HOTWHEELS_PING_AFTER",
            `"host" in "${path}"`,
            "default",
          ],
        );
      },
    );

    it("is printed whole, as a file that means the same", { timeout }, async () => {
      const first = await printed([], { HOTWHEELS_MAX_CONNECTIONS: "500", HOTWHEELS_WORKERS: "2" });
      const told = VALUE_FLAGS.filter((flag) => flag !== "config");
      for (const flag of told) assert(first.text.includes(`"${flag}"`), flag);
      const again = await printed(["--config", write("printed.jsonc", first.text)]);
      assertEquals(again.values, first.values);
    });

    it("names files from the file's folder, which the server may read", { timeout }, async () => {
      write("etc/keys", "the key of the file\n");
      const path = write("etc/hotwheels.jsonc", '{"publish-key-file": "keys", "workers": 2}');
      const addresses = write("addresses", "127.0.0.0/8\n");
      const server = start(["--port", "0"], {
        HOTWHEELS_CONFIG: path,
        HOTWHEELS_HOST: "127.0.0.1",
        HOTWHEELS_SUBSCRIBE_FROM_FILE: addresses,
      });
      try {
        await until("it listens", () => server.stdout.includes("\n"), 30_000);
        const [, port, pid] = /:(\d+) \(.*pid (\d+), 2 workers/.exec(server.stdout) ?? [];
        assertEquals(workersOf({ pid: Number(pid) }).length, 2);
        const client = await JanusClient.subscribed(
          { hostname: "127.0.0.1", port: Number(port) },
          "t",
        );
        client.send(authenticate("the key of the file"));
        assertEquals(await client.frame(), "ACK");
        await client.dispose();
      } finally {
        server.signal("SIGTERM");
        await server.ended;
      }
    });

    it(
      "is refused if a name or a value is wrong, which the message names",
      { timeout },
      async () => {
        const at = (text: string) => ["--config", text];
        const wrong = join(folder, "wrong.jsonc");
        const cases: [readonly string[], Variables, string][] = [
          [
            [],
            { HOTWHEELS_MAX_CONECTIONS: "5" },
            "there is no flag for the variable " +
            "HOTWHEELS_MAX_CONECTIONS of the environment; did you mean HOTWHEELS_MAX_CONNECTIONS?",
          ],
          [
            [],
            { HOTWHEELS_max_connections: "5" },
            "there is no flag for the variable " +
            "HOTWHEELS_max_connections of the environment; did you mean HOTWHEELS_MAX_CONNECTIONS?",
          ],
          [
            at('{"HOTWHEELS_MAX_TOPICS": 1}'),
            {},
            `there is no flag "HOTWHEELS_MAX_TOPICS", in "${wrong}"; did you mean "max-topics"?`,
          ],
          [
            [],
            { HOTWHEELS_PORT: "x" },
            'HOTWHEELS_PORT must be a whole number from 0 to 65535, not "x"',
          ],
          [
            ["--port", "x"],
            { HOTWHEELS_PORT: "1" },
            "--port must be a whole number from 0 to 65535, " +
            'not "x"',
          ],
          [
            at('{"maxTopics": 1}'),
            {},
            `there is no flag "maxTopics", in "${wrong}"; did you mean ` +
            '"max-topics"?',
          ],
          [
            at('{"port": 70000}'),
            {},
            `"port" in "${wrong}" must be a whole number from 0 to 65535, ` +
            'not "70000"',
          ],
          [
            at('{"port": true}'),
            {},
            `"port" in "${wrong}" must be text, a whole number, or a list of ` +
            "texts, not true; leave it out for its default",
          ],
          [
            at('{"publish-from": ["::1", "here"]}'),
            {},
            `"publish-from" in "${wrong}" must list ` +
            'addresses such as 192.0.2.0/24 or 2001:db8::/32, not "here"',
          ],
          [
            at('{\n "port": 1\n "host": "::1"}'),
            {},
            `"${wrong}" isn't JSON with comments: unexpected ` +
            'token ""host"" on line 3',
          ],
          [at("[]"), {}, `"${wrong}" must hold an object, such as { "port": 8081 }`],
          [at('{"tls-key": "a"}'), {}, `"tls-key" in "${wrong}" needs --tls-cert too`],
        ];
        for (const [given, variables, message] of cases) {
          const text = given[0] === "--config" ? given[1] : undefined;
          const flags = text === undefined ? given : ["--config", write("wrong.jsonc", text)];
          assertEquals(await refusal([...flags, "--print-config"], variables), message);
        }
        const none = await start(["--config", join(folder, "none")]).ended;
        assertEquals(none.status, 1);
        assertMatch(none.stderr, /^hotwheels: can't read --config \S+: there is no such file\n$/);
      },
    );

    it(
      "isn't what Kubernetes says of a service that is called hotwheels",
      { timeout },
      async () => {
        const { values } = await printed([], {
          HOTWHEELS_PORT: "tcp://10.0.0.1:8081",
          HOTWHEELS_PORT_8081_TCP: "tcp://10.0.0.1:8081",
          HOTWHEELS_PORT_8081_TCP_ADDR: "10.0.0.1",
          HOTWHEELS_SERVICE_HOST: "10.0.0.1",
          HOTWHEELS_SERVICE_PORT: "8081",
          HOTWHEELS_SERVICE_PORT_JANUS: "8081",
          HOTWHEELS_ADMIN_PORT: "tcp://10.0.0.1:9090",
        });
        assertEquals(values["port"], 8081);
        const message = await refusal([], { HOTWHEELS_ADMIN_PORT: "9090" });
        assertMatch(message, /^there is no flag for the variable HOTWHEELS_ADMIN_PORT /);
      },
    );
  });
}
