import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { measure } from "../../../bots/measure.ts";
import type { BotsOptions } from "../../../bots/run/options.ts";
import type { BotsReport } from "../../../bots/results/report.ts";
import { reportText } from "../../../bots/results/report_text.ts";
import { EnvironmentError } from "../../../cli/command_line.ts";
import { detectRuntime } from "../../../runtime/detect.ts";
import { lastingPort } from "../../../tools/harness/lasting_port.ts";
import { type Rival, type RivalScript, RivalServer } from "./rival_server.ts";
import { countsOf, OPTIONS } from "./scripted_run.ts";

const PATIENCE = { timeout: 120_000 };

/** A limit that a busy machine keeps to as well, for tests that have to wait until it passes. */
const LIMIT_MS = 1500;

async function run(dialect: Rival, port: number, options: Partial<BotsOptions> = {}) {
  const observer = {
    onFindings() {},
    onStart: () => ({ update() {}, stop() {} }),
  };
  return await measure(
    await detectRuntime(),
    { ...OPTIONS, dialect, port, ...options },
    [],
    observer,
  );
}

async function play(
  rival: Rival,
  script: RivalScript,
  options: Partial<BotsOptions> = {},
): Promise<{ report: BotsReport; said: string }> {
  const server = await RivalServer.start(rival, script);
  try {
    return { report: await run(rival, server.port, options), said: server.said };
  } finally {
    await server.stop();
  }
}

for (const rival of ["nats", "redis"] as const) {
  describe(`bots that speak ${rival}`, () => {
    it("are good when each has each message, once", async () => {
      const { report } = await play(rival, {}, { rounds: 3 });
      assertEquals(report.rounds.map(countsOf), [{ good: 4 }, { good: 4 }, { good: 4 }]);
      assertEquals([report.target.dialect, report.target.stamped_by], [rival, "publisher"]);
      assertMatch(reportText(report), /\nbots' clock {4}/);
      assertEquals(reportText(report).includes("server's clock"), false);
    });

    it("are good however the message is split", async () => {
      const { report } = await play(rival, {
        async deliver(socket, frame, number) {
          for (let at = 0; at < frame.length; at += number + 1) {
            socket.write(frame.slice(at, at + number + 1));
            await sleep(0);
          }
        },
      }, { rounds: 2 });
      assertEquals(report.rounds.map(countsOf), [{ good: 4 }, { good: 4 }]);
    });

    it("count what is missing, doubled and damaged apart", async () => {
      const { report } = await play(rival, {
        deliver(socket, frame, number) {
          if (number === 0) socket.write(frame);
          if (number === 1) socket.write(frame + frame);
          if (number === 2) socket.write(frame.replace("test_event", "test_evenT"));
        },
      }, { timeoutMs: LIMIT_MS });
      assertEquals(countsOf(report.rounds[0]), {
        good: 1,
        bad: 3,
        missing: 1,
        duplicate: 1,
        corrupt: 1,
      });
    });

    it("take an earlier round's message for late, not for the one that is due", async () => {
      let heldBack = "";
      const { report } = await play(rival, {
        deliver(socket, frame, number, round) {
          if (number > 0) socket.write(frame);
          else if (round === 0) heldBack = frame;
          else socket.write(heldBack + frame);
        },
      }, { rounds: 2, timeoutMs: LIMIT_MS });
      assertEquals(report.rounds.map(countsOf), [
        { good: 3, bad: 1, missing: 1 },
        { good: 4, late: 1 },
      ]);
    });

    it("say what a server refuses them with", async () => {
      const error = "-ERR 'Maximum Connections Exceeded'\r\n";
      const refuse: RivalScript = { onSubscribe: (socket) => void socket.end(error) };
      const failure = await assertRejects(() => play(rival, refuse), EnvironmentError);
      assertStringIncludes(failure.message, "Maximum Connections Exceeded");
    });

    it("publish data of the size that is asked for", async () => {
      const { report, said } = await play(rival, {}, { data: "x".repeat(100_000) });
      assertEquals(countsOf(report.rounds[0]), { good: 4 });
      assertStringIncludes(said, `"data":"${"x".repeat(100_000)}"}\r\n`);
    });
  });

  const program = { nats: "nats-server", redis: "redis-server" }[rival];
  it(`a real ${program} is measured in one process and in several`, PATIENCE, async (test) => {
    const server = await startRival(rival, program, test);
    if (server === null) return;
    try {
      for (const processes of [1, 2]) {
        const report = await run(rival, server.port, { n: 300, rounds: 3, processes });
        assertEquals(report.rounds.map(({ good }) => good), [300, 300, 300]);
        assertEquals(report.rounds.every((round) => round.end_to_end_ms!.max > 0), true);
      }
    } finally {
      await server.stop();
    }
  });
}

it("bots answer the PING of a NATS server that they are subscribed at", async () => {
  const { said } = await play("nats", {
    onSubscribe: (socket) => void socket.write("PONG\r\nPING\r\n"),
  });
  assertEquals(said.match(/PONG\r\n/g)?.length, 4);
});

/** Starts the real server on a free port; `null`, and a skipped test, where it isn't installed. */
async function startRival(rival: Rival, program: string, test: TestContext) {
  const path = ["", "/usr/sbin/", "/usr/local/bin/"].map((folder) => folder + program)
    .find((path) => spawnSync(path, ["--version"]).status === 0);
  if (path === undefined) {
    test.skip(`${program} isn't installed (Debian: apt-get install ${program})`);
    return null;
  }
  const folder = mkdtempSync(join(tmpdir(), "hotwheels-rival-"));
  const port = await lastingPort();
  const file = join(folder, "conf");
  writeFileSync(
    file,
    rival === "nats"
      ? `listen: "127.0.0.1:${port}"\n`
      : `bind 127.0.0.1\nport ${port}\nsave ""\nappendonly no\ndir ${folder}\n`,
  );
  const child = spawn(path, rival === "nats" ? ["-c", file] : [file], { stdio: "ignore" });
  await answers(port);
  return {
    port,
    async stop() {
      await ended(child);
      rmSync(folder, { recursive: true });
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  const exit = new Promise((resolve) => child.once("exit", resolve));
  process.kill(child.pid!, "SIGTERM");
  await exit;
}

async function answers(port: number): Promise<void> {
  const runtime = await detectRuntime();
  const silent = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };
  const deadline = performance.now() + 20_000;
  for (;;) {
    try {
      const to = { transport: "tcp", hostname: "127.0.0.1", port, timeoutMs: 1000 } as const;
      (await runtime.connect(to, () => silent)).close();
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(20);
    }
  }
}
