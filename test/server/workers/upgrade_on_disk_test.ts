import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { findProgram } from "../../../cli/program.ts";
import { Checkout } from "../../support/processes/checkout.ts";
import { JanusClient } from "../../support/clients/janus_client.ts";
import { directCommand, ServerCommand } from "../../support/processes/server_command.ts";
import { until } from "../../support/until.ts";
import { skipWorkers, workersOf } from "../../support/processes/workers.ts";

const timeout = 60_000;

/** Each runtime's run looks at its own server. */
const runtime = "Bun" in globalThis ? "bun" : "deno";

/** The command line of the server, in another checkout. */
function commandIn(folder: string): readonly string[] {
  return directCommand(runtime).map((part) => {
    return /^(cli\/launch\.sh|server\/main\.ts)$/.test(part) ? join(folder, part) : part;
  });
}

/** The tokens that so many new connections get. */
async function tokensOf(server: ServerCommand, count = 12): Promise<string[]> {
  const tokens: string[] = [];
  for (let i = 0; i < count; i++) {
    const client = await JanusClient.open(server);
    tokens.push(await client.greeting());
    await client.dispose();
  }
  return tokens;
}

describe(`a rolling upgrade on ${runtime}`, { skip: skipWorkers }, () => {
  it("runs what is on disk; what doesn't come up ends it, and the others serve on", {
    timeout,
  }, async () => {
    const checkout = new Checkout("npm");
    const change = (file: string, from: string | RegExp, to: string) => {
      const path = join(checkout.folder, file);
      const before = readFileSync(path, "utf8");
      const after = before.replace(from, to);
      assertNotEquals(after, before);
      writeFileSync(path, after);
      return () => writeFileSync(path, before);
    };
    const flags = ["--workers", "2", "--drain-seconds", "0"];
    const server = await ServerCommand.listening(runtime, flags, commandIn(checkout.folder));
    const roll = async (words: string) => {
      const before = server.stderr.length;
      process.kill(server.pid, "SIGUSR2");
      await until(`it says: ${words}`, () => server.stderr.slice(before).includes(words), 30_000);
      return server.stderr.slice(before);
    };
    try {
      const original = workersOf(server);
      const patterns = await tokensOf(server);
      assertEquals(new Set(patterns).size, patterns.length);

      const mend = change("server/workers/worker.ts", /^/, "this isn't TypeScript\n");
      assertMatch(await roll("the successor of "), /successor of worker-1 failed: .* 0 of 2 /);
      assertEquals(workersOf(server), original);
      mend();
      const agree = change("server/workers/control.ts", /(CONTROL_VERSION = )\d+/, "$1999");
      assertMatch(await roll("the successor of "), /failed: it is of another version .*\(999\)/);
      assertEquals(workersOf(server), original);
      assertEquals(new Set(await tokensOf(server)).size, patterns.length);
      agree();

      change("server/access/token_source.ts", "return token;", 'return token && "f".repeat(32);');
      await roll("all workers are replaced");
      assertEquals(new Set(await tokensOf(server)), new Set(["f".repeat(32)]));

      // It serves, but not for long.
      const upgraded = workersOf(server);
      const ends = "(setTimeout(() => process.exit(3), 300), server?.listen(options))";
      change("server/workers/worker.ts", "server?.listen(options)", ends);
      assertMatch(await roll("the successor of "), /it ended with status 3 when .* 0 of 2 /);
      assertEquals(workersOf(server), upgraded);
    } finally {
      await server.dispose();
      checkout.dispose();
    }
  });

  it("follows links that have come to name another version of it, or of the runtime", {
    timeout,
  }, async () => {
    const checkout = new Checkout("npm");
    const folder = realpathSync(mkdtempSync(join(tmpdir(), "hotwheels-versions-")));
    const [program, current] = [join(folder, "runtime"), join(folder, "current")];
    const lead = (link: string, target: string) => {
      symlinkSync(target, `${link}.new`);
      renameSync(`${link}.new`, link);
    };
    const versions = ["1", "2"].map((name) => {
      const path = join(folder, `${runtime}-${name}`);
      try {
        linkSync(realpathSync(findProgram(runtime).path), path);
      } catch {
        // It's on another disk.
        copyFileSync(findProgram(runtime).path, path);
      }
      return path;
    });
    const upgraded = join(folder, "hotwheels-2");
    cpSync(checkout.folder, upgraded, { recursive: true });
    const source = join(upgraded, "server/access/token_source.ts");
    const text = readFileSync(source, "utf8");
    writeFileSync(source, text.replace("return token;", 'return token && "f".repeat(32);'));
    lead(program, versions[0]!);
    lead(current, checkout.folder);
    const flags = runtime === "deno" ? ["--no-prompt", "-A", "--unstable-net"] : [];
    const command = [program, "run", ...flags, join(current, "server/main.ts")];
    const own = ["--workers", "2", "--drain-seconds", "0"];
    const server = await ServerCommand.listening(runtime, own, command);
    try {
      assertEquals(new Set(await tokensOf(server, 4)).size, 4);
      lead(program, versions[1]!);
      lead(current, upgraded);
      process.kill(server.pid, "SIGUSR2");
      await until("they're replaced", () => server.stderr.includes("workers are replaced"), 30_000);
      assertEquals(new Set(await tokensOf(server)), new Set(["f".repeat(32)]));
      for (const pid of workersOf(server)) {
        const { stdout } = spawnSync("readlink", [`/proc/${pid}/exe`], { encoding: "utf8" });
        assertEquals(stdout.trim(), versions[1]);
      }
    } finally {
      await server.dispose();
      checkout.dispose();
      rmSync(folder, { recursive: true });
    }
  });
});
