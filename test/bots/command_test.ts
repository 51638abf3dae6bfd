import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { findProgram, PROJECT_ROOT } from "../../cli/program.ts";
import type { BotsReport } from "../../bots/results/report.ts";
import { ServerProcess } from "../../tools/harness/server_process.ts";
import {
  type CommandProcess,
  type Ended,
  startCommand,
} from "../support/processes/command_process.ts";
import { until } from "../support/until.ts";
import { type Script, ScriptedServer, stamp } from "./run/scripted_server.ts";
import { REPEATS_TIMEOUT_MS, untilValid } from "./results/valid_run.ts";

const PATIENCE = { timeout: REPEATS_TIMEOUT_MS };

/** The bots' command on this runtime, to its end. */
function bots(...args: (string | number)[]): Promise<Ended> {
  return startCommand("bots/main.ts", args).ended;
}

async function withServer(
  script: Script,
  test: (port: number, server: ScriptedServer) => Promise<void>,
): Promise<void> {
  const server = await ScriptedServer.start(script);
  try {
    await test(server.port, server);
  } finally {
    await server.stop();
  }
}

describe("the bots' command", () => {
  it(
    "ends with status 0 when every bot was good, in one process or several",
    PATIENCE,
    async () => {
      await withServer({}, async (port) => {
        for (const processes of [1, 3]) {
          const args = ["30", "localhost", port, "--processes", processes, "--rounds", 2];
          const { status, stdout, stderr } = await untilValid(() => bots(...args, "--verbose"));
          assertEquals([status, stderr], [0, ""]);
          assertMatch(
            stdout,
            /^verdict: under [12] s: the last of 30 bots had each of 2 messages /,
          );
          assertMatch(stdout, /\nsetup: \d+\.\d\dms, n: 30, good: 30, bad: 0, run: \d+\.\d\dms\n/);
          // Two rounds, and the sum over both.
          assertEquals(stdout.match(/\nbots' process \d+: /g)!.length, processes * 3);
        }
      });
    },
  );

  it("speaks of 1 bot where there is one, and takes host and port as one", PATIENCE, async () => {
    await withServer({}, async (port) => {
      const run = () => bots(1, `127.0.0.1:${port}`, "--verbose");
      const { status, stdout } = await untilValid(run);
      assertEquals([status, stdout.match(/1 bots\b/)], [0, null]);
      assertMatch(stdout, /\b1 bot\b/);
    });
    await withServer({ onPublish() {} }, async (port) => {
      const run = () => bots(1, `127.0.0.1:${port}`, "--verbose", "--timeout", "1s");
      const { status, stdout } = await untilValid(run);
      assertEquals([status, stdout.match(/1 bots\b/)], [1, null]);
    });
  });

  it("ends with status 1 when a bot was bad", PATIENCE, async () => {
    const script: Script = {
      onPublish({ message, subscribers }) {
        const frame = stamp(message);
        for (const socket of subscribers) socket.write(frame + frame);
      },
    };
    await withServer(script, async (port) => {
      const { status, stdout } = await bots(3, "127.0.0.1", port);
      assertEquals(status, 1);
      assertMatch(stdout, /^verdict: FAILED: 3 of 3 bots did not get .+\n {2}.*duplicate: 3,/);
      assertStringIncludes(stdout, "n: 3, good: 0, bad: 3,");
    });
  });

  it(
    "ends with status 3 when a bot never subscribed, and says why it didn't",
    PATIENCE,
    async () => {
      const script: Script = {
        onConnect(socket, number, server) {
          if (number !== 2) return server.greet(socket);
          socket.end(
            '{"timestamp":[1,2,3],"error":{"code":"too_many_connections","message":"full"}}\x01',
          );
        },
      };
      await withServer(script, async (port) => {
        const { status, stdout } = await bots(20, "127.0.0.1", port, "--timeout", "1s");
        assertEquals(status, 3);
        assertMatch(
          stdout,
          /^verdict: INVALID: .+\n {2}1 of 20 bots never subscribed, refused by the server: too_many_connections:\n {2}full; /,
        );
        assertEquals(stdout.match(/invalid|valid:/gi), ["INVALID"]);
        assertStringIncludes(stdout, "n: 20, good: 19, bad: 1,");
      });
    },
  );

  it("ends with status 3 when it was itself what took so long", PATIENCE, async () => {
    let run: CommandProcess | undefined;
    const script: Script = {
      async onPublish({ message, subscribers }) {
        run!.signal("SIGSTOP");
        const frame = stamp(message);
        for (const socket of subscribers) socket.write(frame);
        await sleep(300);
        run!.signal("SIGCONT");
      },
    };
    await withServer(script, async (port) => {
      run = startCommand("bots/main.ts", [20, "127.0.0.1", port]);
      const { status, stdout } = await run.ended;
      assertEquals(status, 3);
      assertMatch(
        stdout,
        /^verdict: INVALID: .+\n {2}bots' process \d+: [^]+? allowed\s+in a round/,
      );
      assertEquals(stdout.match(/invalid|valid:|under/gi), ["INVALID"]);
      assertStringIncludes(stdout, "n: 20, good: 20, bad: 0,");
    });
  });

  it(
    "ends with status 1 when the slo isn't held, though every bot was good",
    PATIENCE,
    async () => {
      const script: Script = {
        onPublish({ message, subscribers }) {
          setTimeout(() => {
            const frame = stamp(message);
            for (const socket of subscribers) socket.write(frame);
          }, 100);
        },
      };
      await withServer(script, async (port) => {
        const missed = await untilValid(() => bots(3, "127.0.0.1", port, "--slo", "99ms"));
        assertEquals(missed.status, 1);
        assertStringIncludes(missed.stdout, "n: 3, good: 3, bad: 0,");
        assertMatch(missed.stdout, /^verdict: FAILED: the slo of 99 ms is missed: the last of 3 /);
        const held = await untilValid(() => bots(3, "127.0.0.1", port, "--slo", "3600s"));
        assertEquals(held.status, 0);
        assertMatch(held.stdout, /^verdict: under [12] s, and the slo of 3600000 ms is held: /);
      });
    },
  );

  it("ends with status 1 and one line when there is no server", PATIENCE, async () => {
    const server = await ScriptedServer.start();
    const { port } = server;
    await server.stop();
    const { status, stdout, stderr } = await bots(5, "127.0.0.1", port);
    assertEquals([status, stdout], [1, ""]);
    assertMatch(stderr, new RegExp(`^bots: no server answers at 127.0.0.1:${port} .*\n$`));
  });

  it("ends with status 2 and one line when the command line is wrong", PATIENCE, async () => {
    for (const args of [["--nope"], ["many"], ["--slo", "soon"]]) {
      const { status, stdout, stderr } = await bots(...args);
      assertEquals([status, stdout], [2, ""]);
      assertMatch(stderr, /^bots: .*\n$/);
      assertStringIncludes(stderr, args.at(-1)!);
    }
  });

  it("tells what it can, and which version it is", PATIENCE, async () => {
    const help = await bots("--help");
    assertEquals([help.status, help.stderr], [0, ""]);
    assertStringIncludes(help.stdout, "--rounds R");
    const { version } = JSON.parse(readFileSync(join(PROJECT_ROOT, "package.json"), "utf8"));
    const runtime = "deno" in process.versions ? "deno" : "bun";
    assertEquals(await bots("--version"), {
      status: 0,
      stdout: `${version} (${runtime} ${process.versions[runtime]})\n`,
      stderr: "",
    });
  });

  it("writes the report as JSON to a file, or alone to standard output", PATIENCE, async () => {
    const folder = mkdtempSync(join(tmpdir(), "hotwheels-bots-"));
    try {
      await withServer({}, async (port) => {
        const file = join(folder, "report.json");
        const toFile = await bots(3, "127.0.0.1", port, "--json", file);
        assertMatch(toFile.stdout, /^verdict: /);
        const written = JSON.parse(readFileSync(file, "utf8")) as BotsReport;
        assertEquals([written.schema, written.good], ["hotwheels-bots/1", 3]);
        assertEquals(written.environment.arguments, ["3", "127.0.0.1", `${port}`, "--json", file]);
        assertEquals(written.environment.runtime, "deno" in process.versions ? "deno" : "bun");

        const toOutput = await bots(3, "127.0.0.1", port, "--json", "-");
        assertEquals((JSON.parse(toOutput.stdout) as BotsReport).good, 3);
        assertMatch(toOutput.stderr, /^verdict: /);

        const nowhere = join(folder, "no", "such", "folder.json");
        const failed = await bots(3, "127.0.0.1", port, "--json", nowhere);
        assertEquals(failed.status, 1);
        assertMatch(failed.stderr, /^bots: can't write the report: .*\n$/);
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("doesn't start what can't work, and says how to mend it", PATIENCE, async () => {
    await withServer({}, async (port, server) => {
      const { status, stdout, stderr } = await bots(
        ...[900_000, "127.0.0.1", port, "--spread", 1, "--processes", 256],
      );
      assertEquals([status, stdout], [1, ""]);
      assertStringIncludes(stderr, "bots: this can't work: 900001 connections to one address");
      assertMatch(stderr, /\nbots: not started; the lines above say what to change\n$/);
      assertEquals(server.connections, 1, "more than the probe connected");
    });
  });

  /** Starts a run that goes on until it is ended, in three processes. */
  async function withEndlessRun(
    test: (run: CommandProcess) => Promise<void>,
  ): Promise<void> {
    await withServer({ onSubscribe() {} }, async (port, server) => {
      const args = ["8", "127.0.0.1", port, "--processes", "2"];
      const run = startCommand("bots/main.ts", args, { detached: true });
      await until("all bots have connected", () => server.open === 8);
      await test(run);
      await until("all bots have gone", () => server.open === 0);
    });
  }

  it("ends all of its processes on a signal", PATIENCE, async () => {
    for (
      const [signal, expected] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const
    ) {
      await withEndlessRun(async (run) => {
        run.signal(signal);
        assertEquals(await run.ended, { status: expected, stdout: "", stderr: "" });
      });
    }
  });

  it("ends on Ctrl-C, which reaches all of its processes, without a word", PATIENCE, async () => {
    await withEndlessRun(async (run) => {
      process.kill(-run.pid, "SIGINT");
      assertEquals(await run.ended, { status: 130, stdout: "", stderr: "" });
    });
  });

  it("leaves no process behind when it is killed", PATIENCE, async () => {
    await withEndlessRun(async (run) => {
      run.signal("SIGKILL");
      await run.ended;
    });
  });

  const other = "deno" in process.versions ? "bun" : "deno";
  it(`measures the server of ${other}`, PATIENCE, async () => {
    const server = await ServerProcess.start(other, findProgram(other), ["--host", "127.0.0.1"]);
    const flags = ["--rounds", 3, "--processes", 2, "--json", "-"];
    const { status, stdout } = await untilValid(() =>
      bots(500, "127.0.0.1", server.port, ...flags)
    );
    await server.stopped();
    assertEquals(status, 0);
    const report = JSON.parse(stdout) as BotsReport;
    assertEquals([report.good, report.rounds.map(({ good }) => good)], [500, [500, 500, 500]]);
  });
});
