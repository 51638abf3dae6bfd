import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { PROJECT_ROOT } from "../../cli/program.ts";
import { Checkout } from "../support/processes/checkout.ts";
import { errorOf, JanusClient, message, publish } from "../support/clients/janus_client.ts";
import { Outermost } from "../support/processes/outermost.ts";

const timeout = 60_000;

/** Every task's own way to its files; Bun has no sandbox, and no tasks of ours. */
const skip = process.platform === "win32" ? "needs a POSIX shell" : false;

const CERTIFICATES = join(PROJECT_ROOT, "test", "support", "certificates");

describe("a task's files", { skip }, () => {
  let checkout: Checkout;
  /** The user's working directory: a folder below the project's. */
  let here: string;
  before(() => {
    checkout = new Checkout("npm");
    here = join(checkout.folder, "my files");
    mkdirSync(here);
    copyFileSync(join(CERTIFICATES, "first.crt"), join(here, "a certificate.crt"));
    copyFileSync(join(CERTIFICATES, "first.key"), join(here, "a,key.key"));
    symlinkSync("a,key.key", join(here, "link.key"));
    for (const name of ["keys", "other keys"]) writeFileSync(join(here, name), `${name}\n`);
    writeFileSync(join(here, "addresses"), "127.0.0.1\n");
  });
  after(() => checkout.dispose());

  async function whileServing(
    line: string,
    use: (port: number, server: Outermost) => Promise<void>,
  ): Promise<void> {
    const server = new Outermost(checkout, `exec ${line} --host 127.0.0.1 --port 0`, here);
    try {
      await use((await server.listening()).port, server);
      server.signal("SIGTERM");
      assertEquals(await server.ended, 0, server.said);
    } finally {
      server.dispose();
    }
  }

  async function run(line: string): Promise<{ status: number | null; said: string }> {
    const command = new Outermost(checkout, `exec ${line}`, here);
    try {
      const status = await command.ended;
      return { status, said: command.said };
    } finally {
      command.dispose();
    }
  }

  /** The number of connections that a server says it takes. */
  function mostOf(server: Outermost): number {
    return Number(/at most (\d+) connections/.exec(server.said)?.[1]);
  }

  for (const workers of [1, 2]) {
    const more = workers === 1 ? "" : ` --workers ${workers}`;
    const unless = workers > 1 && process.platform !== "linux" && "one process serves here";

    it(`are read behind --tls-cert and --tls-key, and by bots behind --ca${more}`, {
      timeout,
      skip: unless,
    }, async () => {
      const files = `--tls-cert "a certificate.crt" --tls-key=link.key`;
      await whileServing(`deno task -q serve ${files}${more}`, async (port, server) => {
        const bots = await run(
          `deno task -q bots 20 localhost ${port} --tls --ca="a certificate.crt" --json report.json`,
        );
        assertStringIncludes(bots.said, "good: 20, bad: 0");
        assertEquals(JSON.parse(readFileSync(join(here, "report.json"), "utf8")).bad, 0);
        const most = mostOf(server);
        await whileServing(`bun run ../server/main.ts${more}`, (_, bun) => {
          assertEquals(most, mostOf(bun));
          return Promise.resolve();
        });
      });
    });

    it(`are read behind the flags for keys and addresses${more}`, {
      timeout,
      skip: unless,
    }, async () => {
      const files = `--publish-key-file keys --subscribe-key-file="other keys"`;
      const from = `--publish-from-file=addresses --subscribe-from-file addresses`;
      await whileServing(`deno task -q serve ${files} ${from}${more}`, async (port) => {
        const target = { hostname: "127.0.0.1", port };
        const reader = await JanusClient.greeted(target);
        const authenticate = (key: string) =>
          `${JSON.stringify({ action: "authenticate", data: key })}\0`;
        await reader.sent(authenticate("other keys"));
        assertEquals(await reader.frame(), "ACK");
        await reader.subscribe("t");
        const writer = await JanusClient.greeted(target);
        await writer.sent(authenticate("keys") + publish(message("t", "kept")));
        assertStringIncludes(await reader.frame(), "kept");
        const stranger = await JanusClient.greeted(target);
        await stranger.sent(publish(message("t", "no")));
        assertEquals(errorOf((await stranger.closed()).frames.pop()).code, "forbidden");
        for (const client of [reader, writer, stranger]) await client.dispose();
      });
    });
  }

  it("may have no comma in their names, which is said in a line", { timeout }, async () => {
    const files = `--tls-cert "a certificate.crt" --tls-key a,key.key`;
    const { status, said } = await run(`deno task -q serve ${files}`);
    assertEquals(status, 1);
    assertMatch(said, /^launch\.sh: --tls-key "a,key\.key": [^\n]*comma[^\n]*\n$/);
  });

  it("are all read where one flag names several", { timeout }, async () => {
    const files = "--publish-key-file keys --subscribe-key-file 'other keys'";
    await whileServing(`deno task -q serve ${files}`, async (port) => {
      const both = "--key-file keys --key-file='other keys'";
      const { said } = await run(`deno task -q bots 5 127.0.0.1 ${port} ${both}`);
      assertStringIncludes(said, "good: 5, bad: 0");
    });
  });

  it("that aren't there, or hold something else, are told in a line", { timeout }, async () => {
    for (
      const [flags, name] of [
        ["serve --tls-cert none.crt --tls-key none.key", "none.crt"],
        ["serve --publish-key-file none", "none"],
        ["serve --publish-key-file none --workers 2", "none"],
        ["serve --publish-key-file .", '"."'],
        ["bots 1 --tls --ca none.pem", "none.pem"],
        ["bots 1 --json none/report.json", "none/report.json"],
      ] as const
    ) {
      const { status, said } = await run(`deno task -q ${flags}`);
      assertEquals(status, 1, said);
      assertMatch(said, /^(hotwheels|bots): [^\n]*\n$/);
      assertStringIncludes(said, name);
    }
  });

  it("may be new ones, behind --json of the tools", { timeout }, async () => {
    const { status, said } = await run("deno task -q churn 100 --runtime bun --json churn.json");
    assertEquals(status, 0, said);
    assertEquals(JSON.parse(readFileSync(join(here, "churn.json"), "utf8")).passed, true);
    const soak = await run(
      "deno task -q soak --target 127.0.0.1:1 --minutes 0.01 --json soak.json",
    );
    // The file could be written, or this would be said of it instead.
    assertMatch(soak.said, /^soak: no server answers at 127\.0\.0\.1:1 [^\n]*\n$/);
  });

  it("are all that the program may read", { timeout }, async () => {
    const probe = `import { readFileSync } from "node:fs";
      for (const path of process.argv.slice(2)) {
        try {
          console.log(path, readFileSync(path, "utf8").length);
        } catch (error) {
          console.log(path, error.name);
        }
      }`;
    writeFileSync(join(checkout.folder, "probe.mjs"), probe);
    const { said } = await run(
      "sh ../cli/launch.sh --reads=tls-key run --no-prompt probe.mjs --tls-key keys addresses",
    );
    assertMatch(said, /^--tls-key NotCapable\nkeys 5\naddresses NotCapable\n$/);
    assert(!said.includes("prompt"));
  });
});
