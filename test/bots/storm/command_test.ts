import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "node:test";
import type { Socket } from "node:net";
import type { StormReport } from "../../../bots/storm/report.ts";
import {
  type CommandProcess,
  type Ended,
  startCommand,
} from "../../support/processes/command_process.ts";
import { directCommand, ServerCommand } from "../../support/processes/server_command.ts";
import { until } from "../../support/until.ts";
import { ScriptedServer } from "../run/scripted_server.ts";

/** Below the ports that clients are given: the server has to get the same one twice. */
function somePort(): number {
  return 20_000 + Math.floor(Math.random() * 10_000);
}

/** Starts a server on that port; nothing if another process has it. */
async function serverOn(port: number): Promise<ServerCommand | null> {
  const flags = ["--host", "127.0.0.1", "--port", String(port), "--log-level", "error"];
  const server = new ServerCommand(directCommand("bun"), flags);
  await until("it listens or ends", () => server.stdout.includes("\n") || server.hasExited, 30_000);
  return server.hasExited ? null : server;
}

/** Kills a server, for whose return these bots wait, and says how they ended once another one is in its place. */
async function outlast(n: number, ...flags: readonly (string | number)[]): Promise<Ended> {
  let server = null;
  let port = 0;
  while (server === null) server = await serverOn(port = somePort());
  const args = [n, "127.0.0.1", port, "--storm", "--json", "-", ...flags];
  const bots = startCommand("bots/main.ts", args);
  await waiting(bots);
  await server.dispose();
  const next = (await serverOn(port))!;
  try {
    return await bots.ended;
  } finally {
    await next.dispose();
  }
}

async function waiting(bots: CommandProcess): Promise<void> {
  await until("the bots wait", () => bots.stderr.includes("restart it now"), 30_000);
}

describe("the bots' storm", () => {
  for (const processes of [1, 2]) {
    it(`measures how all come back to a server that was killed, in ${processes} process(es)`, {
      timeout: 120_000,
    }, async () => {
      const { status, stdout, stderr } = await outlast(60, "--processes", processes);
      const report = JSON.parse(stdout) as StormReport;
      assertEquals([status, report.struck, report.still_out, report.outages], [0, 60, 0, 60]);
      assertEquals([report.told, report.appointments], [{}, 0]);
      assert(report.attempts >= 60);
      assert(report.took_ms! >= report.outage_ms!.max);
      assertMatch(stderr, /\nverdict: all are back, the last \d+\.\d\d s after the first loss\n/);
      assertMatch(stderr, /\n60 of 60 bots lost their connection, /);
    });
  }

  for (const processes of [1, 2]) {
    it(`cuts the bots itself, and they get all that they missed, in ${processes} process(es)`, {
      timeout: 120_000,
    }, async () => {
      const flags = ["--host", "127.0.0.1", "--port", "0", "--admin", "0", "--log-level", "error"];
      const server = new ServerCommand(directCommand("bun"), flags);
      try {
        await until("it listens", () => server.stdout.includes("\n"), 30_000);
        const [, port = "", admin = ""] = /on [\d.]+:(\d+) .*admin on (http:\S+)\)/.exec(
          server.stdout,
        )!;
        const bots = startCommand("bots/main.ts", [
          ...[
            60,
            "127.0.0.1",
            port,
            "--storm",
            "--resume",
            "--cut",
            "--rounds",
            30,
            "--every",
            "5ms",
          ],
          ...["--admin", admin, "--json", "-", "--processes", processes],
        ]);
        const { status, stdout, stderr } = await bots.ended;
        assertEquals(status, 0, stderr);
        const { struck, resumption, server_cpu_s } = JSON.parse(stdout) as StormReport;
        const { published, resumes, recovered, reasons, whole, level_ms } = resumption!;
        assertEquals([struck, published, resumes, recovered, whole], [60, 30, 60, 60, 60]);
        assertEquals([reasons, resumption!.missing], [{ ok: 60 }, 0]);
        assert(level_ms! > 0 && resumption!.missed_messages!.max > 0, stdout);
        assert(server_cpu_s! > 0);
        assertMatch(stderr, /\n60 of 60 returns recovered \(ok 60\), the last bot level \d/);
      } finally {
        await server.dispose();
      }
    });
  }

  it("says why those aren't recovered that come back to a server that has forgotten all", {
    timeout: 120_000,
  }, async () => {
    const { status, stdout, stderr } = await outlast(40, "--resume", "--rounds", 20);
    assertEquals(status, 0, stderr);
    const { resumption } = JSON.parse(stdout) as StormReport;
    const { resumes, recovered, reasons, whole, published } = resumption!;
    assertEquals([resumes, recovered, whole, published], [40, 0, 0, 20]);
    assertEquals(reasons, { unknown_origin: 40 });
  });

  it("comes back when the server says so", { timeout: 120_000 }, async () => {
    const subscribers: Socket[] = [];
    const error = { code: "server_shutdown", message: "bye", retry_after_ms: 400 };
    const server = await ScriptedServer.start({
      onSubscribe(socket, number, server) {
        server.acknowledge(socket);
        if (number < 20) subscribers.push(socket);
      },
    });
    try {
      const bots = startCommand("bots/main.ts", [
        ...[20, "127.0.0.1", server.port, "--storm", "--json", "-"],
      ]);
      await waiting(bots);
      for (const socket of subscribers) {
        socket.end(`{"timestamp":[1795,435717,985835],"error":${JSON.stringify(error)}}\x01`);
      }
      const { status, stdout } = await bots.ended;
      const report = JSON.parse(stdout) as StormReport;
      assertEquals([status, report.struck, report.still_out], [0, 20, 0]);
      assertEquals([report.told, report.appointments], [{ server_shutdown: 20 }, 20]);
      assertEquals(report.attempts, 20);
      // Timers may fire a millisecond early.
      assert(report.outage_ms!.min >= 399, `${report.outage_ms!.min} ms`);
    } finally {
      await server.stop();
    }
  });

  it("is invalid where a bot never subscribed before it", { timeout: 120_000 }, async () => {
    const subscribers: Socket[] = [];
    const error = (code: string) => `{"timestamp":[1,2,3],"error":{"code":"${code}"}}\x01`;
    const server = await ScriptedServer.start({
      onConnect(socket, number, server) {
        if (number === 2) socket.end(error("too_many_connections"));
        else server.greet(socket);
      },
      onSubscribe(socket, number, server) {
        server.acknowledge(socket);
        if (number < 19) subscribers.push(socket);
      },
    });
    try {
      const bots = startCommand("bots/main.ts", [20, "127.0.0.1", server.port, "--storm"]);
      await waiting(bots);
      for (const socket of subscribers) socket.end(error("server_shutdown"));
      const { status, stdout } = await bots.ended;
      assertEquals(status, 3);
      assertMatch(
        stdout,
        /^verdict: INVALID: .+\n {2}1 of 20 bots never subscribed, refused by the server: too/,
      );
    } finally {
      await server.stop();
    }
  });

  it("publishes nothing, and says so where it's asked to", { timeout: 60_000 }, async () => {
    const { status, stderr } = await startCommand("bots/main.ts", ["--storm", "--rounds", 2]).ended;
    assertEquals(status, 2);
    assertMatch(
      stderr,
      /^bots: --rounds is for messages, and --storm publishes none without .*\n$/,
    );
  });
});
