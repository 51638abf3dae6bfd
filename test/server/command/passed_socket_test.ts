import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { EnvironmentError } from "../../../cli/command_line.ts";
import { findProgram, PROJECT_ROOT } from "../../../cli/program.ts";
import { passedSocket } from "../../../server/command/passed_socket.ts";
import { JanusClient } from "../../support/clients/janus_client.ts";
import { withEnvironment } from "../../support/environment.ts";
import { CommandProcess } from "../../support/processes/command_process.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { until } from "../../support/until.ts";

const timeout = 60_000;

const CERTIFICATES = join(PROJECT_ROOT, "test", "support", "certificates");

const UNIT = fileURLToPath(import.meta.resolve("./fixtures/socket_unit.mjs"));

const skip = process.platform === "win32"
  ? "needs a POSIX shell"
  : spawnSync("node", ["--version"]).status !== 0 && "there is no Node here";

const SERVE = {
  bun: () => [findProgram("bun").path, "run", "server/main.ts"],
  deno: () => ["sh", "cli/hotwheels.sh", "serve", "--runtime", "deno"],
};

/** A manager that holds a listening socket, and starts a server on it each time that it is told to. */
class Unit {
  readonly process: CommandProcess;
  readonly #stdin: { write(text: string): void; end(): void };

  constructor(command: readonly string[]) {
    const { PATH, HOME } = process.env;
    const child = spawn("node", [UNIT, ...command], {
      cwd: PROJECT_ROOT,
      env: { PATH, HOME, NO_COLOR: "1" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#stdin = child.stdin!;
    this.process = new CommandProcess(child);
  }

  tell(...lines: readonly ("start" | "stop" | "wait")[]): void {
    for (const line of lines) this.#stdin.write(`${line}\n`);
  }

  /** Waits for a part of what it and its servers have said. */
  async says(pattern: RegExp): Promise<RegExpMatchArray> {
    await until(`it says ${pattern}`, () => pattern.test(this.process.stdout), 30_000);
    return this.process.stdout.match(pattern)!;
  }

  async dispose(): Promise<void> {
    this.#stdin.end();
    await this.process.ended;
  }
}

describe("a socket that a service manager passes", () => {
  const alone = { workers: 1, tls: undefined };
  const own = `${process.pid}`;
  const passed = (
    [count, pid]: readonly [count: string | undefined, pid: string | undefined],
    options: Parameters<typeof passedSocket>[0] = alone,
  ) => withEnvironment({ LISTEN_FDS: count, LISTEN_PID: pid }, () => passedSocket(options));

  it("is the first behind standard error", async () => {
    assertEquals(await passed(["1", own]), 3);
  });

  it("isn't there unless the manager says so, and means this process", async () => {
    const none = [["", own], ["0", own], ["x", own], [undefined, own], ["1", "1"]] as const;
    for (const variables of [...none, ["1", undefined] as const]) {
      assertEquals(await passed(variables), undefined, String(variables));
    }
  });

  it("is refused where the server can't serve on it, in words that say what to do", async () => {
    const tls = { cert: "a", key: "b" };
    const refused: [string, Parameters<typeof passedSocket>[0], string][] = [
      ["2", alone, "passes 2 sockets, and the server serves on one"],
      [
        "1",
        { ...alone, workers: 3 },
        "passes a socket, which 3 workers can't share: start one, or",
      ],
      [
        "1",
        { ...alone, tls },
        "passes a socket, on which there is no TLS: leave the unit's .socket out",
      ],
    ];
    for (const [count, options, words] of refused) {
      await assertRejects(() => passed([count, own], options), EnvironmentError, words);
    }
  });
});

for (const runtime of TESTED_RUNTIMES) {
  describe(`a listening socket that is passed to a server on ${runtime}`, { skip }, () => {
    if (runtime === "bun") {
      it(
        "is served, and outlasts a restart with the clients in its queue",
        { timeout },
        async () => {
          const unit = new Unit([...SERVE.bun(), "--port", "1"]);
          try {
            const port = Number((await unit.says(/^(\d+)\n/))[1]);
            const target = { hostname: "127.0.0.1", port };
            unit.tell("start");
            const [, said] = await unit.says(/listening on 127\.0\.0\.1:(\d+) \(/);
            assertEquals(Number(said), port);
            const first = await JanusClient.subscribed(target, "t");
            unit.tell("stop", "wait");
            await unit.says(/ended with 0/);
            // The socket is still there, and nobody accepts.
            const second = await JanusClient.open(target);
            unit.tell("start");
            assertMatch(await second.frame(), /"token":/);
            unit.tell("stop", "wait");
            await unit.says(/ended with 0[^]*ended with 0/);
            for (const client of [first, second]) await client.dispose();
          } finally {
            await unit.dispose();
          }
        },
      );
    }

    const tls = [
      "--tls-cert",
      `${CERTIFICATES}/first.crt`,
      "--tls-key",
      `${CERTIFICATES}/first.key`,
    ];
    const refused: [string, readonly string[], RegExp][] = runtime === "deno"
      ? [[
        "Deno can't take it over",
        [],
        /^hotwheels: [^\n]*passes a socket, which Deno can't[^\n]+\n$/,
      ]]
      : [
        [
          "there are workers",
          ["--workers", "2"],
          /a socket, which 2 workers can't share: start one/,
        ],
        ["it speaks TLS", tls, /a socket, on which there is no TLS: leave/],
      ];
    for (const [why, flags, words] of refused) {
      it(`ends it with a line where ${why}`, { timeout }, async () => {
        const unit = new Unit([...SERVE[runtime](), ...flags]);
        try {
          await unit.says(/^\d+\n/);
          unit.tell("start", "wait");
          await unit.says(/ended with 1/);
          assertMatch(unit.process.stderr, words);
        } finally {
          await unit.dispose();
        }
      });
    }
  });
}
