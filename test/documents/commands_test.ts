import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { spawnSync } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { PROJECT_ROOT } from "../../cli/program.ts";
import { Checkout, type Installer } from "../support/processes/checkout.ts";
import { Outermost } from "../support/processes/outermost.ts";
import { until } from "../support/until.ts";
import { commandsOf, type ShownCommand, shownCommands } from "./shown_commands.ts";
import { type Surroundings, type Trial, trialOf } from "./trials.ts";

const timeout = 120_000;

/** Each runtime's run tries its own commands, on its own installation; one of them npm's too. */
const runtime = "deno" in process.versions ? "deno" : "bun";
const INSTALLERS: readonly Installer[] = runtime === "deno" ? ["deno"] : ["bun", "npm"];

/** Which commands a user can run who has installed the packages so. */
const PROGRAMS: Readonly<Record<Installer, RegExp>> = {
  npm: /^(?!bun )/,
  deno: /^deno /,
  bun: /^bun /,
};

/** Commands that take long are tried with one installer only. */
const ONCE: Readonly<Record<Installer, RegExp>> = {
  // npm's script of the demo runs its task; test/launch/installers_test.ts plays that with each installer.
  npm: /^deno task(?: -q)? (?:compare|soak|churn|demo)/,
  deno: /^deno task(?: -q)? (?:bench|demo)/,
  bun: /^$/,
};

const CERTIFICATES = join(PROJECT_ROOT, "test", "support", "certificates");

const NOWHERE: Surroundings = { port: 1, tlsPort: 2 };

const COMMANDS = shownCommands();

describe("the commands that documents and help texts show", () => {
  it("are all known: how each can be tried, or why it can't", () => {
    const unknown = COMMANDS.filter((command) => trialOf(command, NOWHERE) === null);
    assertEquals(unknown, []);
    const tried = COMMANDS.map((command) => trialOf(command, NOWHERE)!.does);
    assert(tried.filter((does) => does === "end").length >= 15, tried.join());
    assert(tried.filter((does) => does === "serve").length >= 4, tried.join());
  });

  it("are found in blocks and in sentences, comments left out", () => {
    const markdown = [
      "Say `deno task -q a\nb`, `npm`, or `rm -r x`.",
      ...["```sh", "npm ci && npm x  # why", "# no", "a \\", "  'b # c'", "```"],
      ...["```console", "$ deno run \\", "    x", "output", "```", "```ts", "const a = 1;", "```"],
    ].join("\n");
    assertEquals(commandsOf(markdown), [
      "npm ci",
      "npm x",
      "a 'b",
      "deno run x",
      "deno task -q a b",
    ]);
  });
});

/** Why it isn't tried; false where it is. */
function skipReason(trial: Trial): string | false {
  if (process.platform === "win32") return "needs a POSIX shell";
  if (trial.does === "nothing") return trial.because;
  const { does, line } = trial;
  for (const program of ["nc", "openssl", "stdbuf"]) {
    const isUsed = program === "stdbuf" ? does === "listen" : line.includes(`${program} `);
    if (!isUsed) continue;
    if (spawnSync("sh", ["-c", `command -v ${program}`]).status !== 0) return `no ${program} here`;
  }
  return false;
}

/**
 * Those that can be tried here; the first of those that are tried alike. Deno's own installation differs
 * from npm's in how a task starts, whatever its flags: there that is the first of each task.
 */
function different(commands: readonly ShownCommand[], installer: Installer): ShownCommand[] {
  const known = new Set<string>();
  return commands.filter((command) => {
    const trial = trialOf(command, NOWHERE);
    if (trial === null || trial.does === "nothing") return false;
    const line = trial.line.replace(" -q", "");
    const what = installer === "deno" ? /^deno task \S+/.exec(line)?.[0] ?? line : line;
    return !known.has(what) && known.add(what);
  });
}

for (const installer of INSTALLERS) {
  const commands = different(
    COMMANDS.filter(({ text }) => PROGRAMS[installer].test(text) && !ONCE[installer].test(text)),
    installer,
  );

  describe(`in a fresh checkout with ${installer}'s packages`, () => {
    let checkout: Checkout;
    let surroundings = NOWHERE;
    const servers: Outermost[] = [];
    const listeners: { readonly command: Outermost; readonly says: string }[] = [];

    before(async () => {
      checkout = new Checkout(installer);
      for (
        const [from, to] of [["first.crt", "server.crt"], ["first.key", "server.key"]] as const
      ) {
        copyFileSync(join(CERTIFICATES, from), join(checkout.folder, to));
      }
      for (const name of ["keys", "FILE"]) writeFileSync(join(checkout.folder, name), "a key\n");
      const start = installer === "bun" ? "bun run server/main.ts" : "deno task -q serve";
      for (const flags of ["", " --tls-cert server.crt --tls-key server.key"]) {
        servers.push(new Outermost(checkout, `exec ${start} --port 0 --log-level error${flags}`));
      }
      const [plain, tls] = await Promise.all(servers.map((server) => server.listening()));
      surroundings = { port: plain!.port, tlsPort: tls!.port };
    }, { timeout });

    after(async () => {
      for (const { command } of listeners) command.dispose();
      for (const server of servers) server.signal("SIGTERM");
      await Promise.all(servers.map((server) => server.ended));
      checkout.dispose();
    }, { timeout });

    for (const command of commands) {
      const skip = skipReason(trialOf(command, NOWHERE)!);
      it(`${command.text} (${command.from.join(", ")})`, { timeout, skip }, async () => {
        await play(command);
      });
    }

    async function play(shown: ShownCommand): Promise<void> {
      const trial = trialOf(shown, surroundings)!;
      if (trial.does === "nothing") return;
      const isPlain = /^(?:npm|deno|bun|openssl) /.test(trial.line);
      if (trial.does === "listen") {
        // Where no terminal reads it, what it says would wait for more.
        writeFileSync(join(checkout.folder, "line.sh"), trial.line);
        const command = new Outermost(checkout, "exec stdbuf -oL sh line.sh");
        listeners.push({ command, says: trial.says });
        await until("it has subscribed", () => command.said.includes("ACK"));
        return;
      }
      const command = new Outermost(checkout, isPlain ? `exec ${trial.line}` : trial.line);
      try {
        if (trial.does === "serve") await playServer(command);
        else {
          const status = await command.ended;
          assert(trial.statuses.includes(status!), `${trial.line}: ${status}: ${command.said}`);
        }
      } finally {
        command.dispose();
      }
      for (const { command, says } of listeners.splice(0)) {
        await until(`it says ${says}`, () => command.said.includes(says)).finally(() =>
          command.dispose()
        );
      }
    }
  });
}

/** Ends a server by its outermost process when it listens. */
async function playServer(command: Outermost): Promise<void> {
  const { pid } = await command.listening();
  command.signal("SIGTERM");
  assertEquals(await command.ended, 0, command.said);
  assertEquals(await command.left([pid]), []);
  assertStringIncludes(command.said, "hotwheels listening on ");
}
