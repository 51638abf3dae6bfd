import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Socket } from "node:net";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { RampUp } from "../../../bots/fleet/ramp_up.ts";
import { measure } from "../../../bots/measure.ts";
import type { BotsOptions } from "../../../bots/run/options.ts";
import { reportText } from "../../../bots/results/report_text.ts";
import { StallWatch } from "../../../bots/fleet/stall_watch.ts";
import { detectRuntime } from "../../../runtime/detect.ts";
import { startCommand } from "../../support/processes/command_process.ts";
import { StrictJanusServer, type StrictScript } from "../../support/clients/strict_janus_server.ts";
import { until } from "../../support/until.ts";
import { countsOf, OPTIONS, play } from "./scripted_run.ts";
import { ScriptedServer, stamp } from "./scripted_server.ts";

const PATIENCE = { timeout: 60_000 };

async function run(port: number, options: Partial<BotsOptions>) {
  const observer = { onFindings() {}, onStart: () => ({ update() {}, stop() {} }) };
  const runtime = await detectRuntime();
  return await measure(runtime, { ...OPTIONS, ...options, port }, [], observer);
}

async function withStrictServer(
  script: StrictScript,
  test: (server: StrictJanusServer) => Promise<void>,
): Promise<void> {
  const server = await StrictJanusServer.start(script);
  try {
    await test(server);
  } finally {
    await server.stop();
  }
}

describe("a bot that tries for ever", PATIENCE, () => {
  it("comes back to the barrier when it loses its subscription there", async () => {
    const script: StrictScript = {
      onSubscribe(socket, number) {
        // The first is gone before the last is there.
        setTimeout(() => socket.write("ACK\x01"), number === 3 ? 300 : 0);
        if (number === 0) setTimeout(() => socket.destroy(), 50);
      },
    };
    await withStrictServer(script, async ({ port }) => {
      const report = await run(port, { retries: "forever" });
      assertEquals(countsOf(report.rounds[0]), { good: 4 });
      assertEquals([report.came_back, report.setup.subscribed], [1, 4]);
      assertStringIncludes(
        reportText(report),
        "came back after they had lost their subscription: 1",
      );
    });
  });

  for (const processes of [1, 2]) {
    it(`outlasts a server that is away for longer than others wait, in ${processes}`, async () => {
      let successor: Promise<StrictJanusServer> | undefined;
      const server = await StrictJanusServer.start({
        onPublish(frame, subscribers) {
          for (const socket of subscribers) socket.write(frame);
          setTimeout(async () => {
            const { port } = server;
            await server.stop();
            await sleep(3000);
            successor = StrictJanusServer.start({}, port);
          }, 100);
        },
      });
      const report = await run(server.port, { retries: "forever", n: 20, rounds: 2, processes });
      await (await successor)?.stop();
      assertEquals(report.rounds.map(({ good }) => good), [20, 20]);
      assertEquals([report.came_back, report.good], [20, 20]);
    });
  }

  it("is bad in the round in which it had no connection, and no other bot waits for it", async () => {
    const { report } = await play({
      onPublish({ message, subscribers, round }) {
        const frame = stamp(message);
        if (round === 0) subscribers[0]!.destroy();
        for (const socket of subscribers.slice(round === 0 ? 1 : 0)) socket.write(frame);
      },
    }, { retries: "forever", rounds: 2, timeoutMs: 600_000 });
    const [first, second] = report.rounds;
    assertEquals([first!.good, first!.missing, countsOf(second)], [3, 1, { good: 4 }]);
    assertEquals(report.came_back, 1);
  });

  it("takes no for no answer", async () => {
    const no = '{"timestamp":[1,2,3],"error":{"code":"too_many_connections","message":""}}\x01';
    const { report } = await play({
      onConnect(socket: Socket, number, server) {
        // The probe, then each bot seven times.
        if (number > 28 || number === 0) server.greet(socket);
        else socket.end(no);
      },
    }, { retries: "forever" });
    assertEquals(countsOf(report.rounds[0]), { good: 4 });
    assertEquals(report.setup.refusals, { too_many_connections: 28 });
  });

  it("isn't given up when nothing moves", async () => {
    let greets = false;
    const rampUp = new RampUp({
      size: 1,
      maxConnecting: 1,
      retries: "forever",
      stallMs: 50,
      connect: () => {
        if (!greets) return Promise.reject(Object.assign(new Error(), { code: "timed_out" }));
        rampUp.onGreeted(0);
        rampUp.onSubscribed(0);
        return Promise.resolve();
      },
      abandon() {},
    });
    setTimeout(() => greets = true, 3000);
    const { subscribed, failedAttempts } = await rampUp.run();
    assertEquals([subscribed, failedAttempts["timed_out"]! > 20], [1, true]);
  });

  it("says that it gets no further, and ends on Ctrl-C", async () => {
    const server = await ScriptedServer.start({
      onConnect: (socket, number, server) => number === 1 ? server.greet(socket) : socket.end(),
    });
    try {
      const args = [2, `127.0.0.1:${server.port}`, "--retries", "forever"];
      const bots = startCommand("bots/main.ts", args);
      await until("it says so", () => bots.stderr !== "", 30_000);
      bots.signal("SIGINT");
      const { status, stderr } = await bots.ended;
      assertEquals(status, 130);
      assertMatch(
        stderr,
        /^bots: no bot has got any further for \d+ s: 1 of 2 bots subscribed, attempts that failed: closed_before_greeting \d+; they go on trying until Ctrl-C\n$/,
      );
    } finally {
      await server.stop();
    }
  });
});

describe("a bot that tries again so often", PATIENCE, () => {
  it("tries once more than that in all", async () => {
    for (const [retries, attempts] of [[0, 1], [3, 4], [22, 23]] as const) {
      const { report } = await play({
        onConnect(socket, number, server) {
          // The probe, the one that is let in, and then all attempts of the other.
          if (number === 0 || number === 1 || number > attempts + 1) server.greet(socket);
          else socket.destroy();
        },
      }, { n: 2, retries });
      const { failed_attempts, given_up } = report.setup;
      const failed = Object.values(failed_attempts).reduce((sum, times) => sum + times, 0);
      assertEquals([retries, failed, given_up], [retries, attempts, 1]);
    }
  });

  it("isn't given up before that for want of progress", async () => {
    const rampUp = new RampUp({
      size: 1,
      maxConnecting: 1,
      retries: 15,
      // Much longer than an attempt takes, and shorter than all of them.
      stallMs: 3000,
      connect: async () => {
        await sleep(300);
        throw Object.assign(new Error(), { code: "timed_out" });
      },
      abandon() {},
    });
    const { failedAttempts } = await rampUp.run();
    assertEquals(failedAttempts, { timed_out: 16 });
  });

  it("makes the run invalid when it never gets to subscribe", async () => {
    const { report } = await play({
      onConnect(socket, number, server) {
        if (number !== 2) server.greet(socket);
        else socket.destroy();
      },
    }, { n: 2, retries: 0 });
    assertEquals([report.valid, report.good, report.bad], [false, 1, 1]);
    assertEquals(report.invalid_because, [
      "1 of 2 bots never subscribed (failed attempts: closed_before_greeting 1)",
    ]);
    const text = reportText(report);
    assertStringIncludes(text, "verdict: INVALID");
    assertStringIncludes(text, "1 of 2 bots never subscribed");
  });
});

describe("a watch for stalls", () => {
  it("speaks after 10 s without progress, then after twice as long each", () => {
    const said: number[] = [];
    let now = 0;
    const watch = new StallWatch(5, () => said.push(now));
    const at = (greeted: number, subscribed: number) => {
      watch.look({ greeted, subscribed, failedAttempts: {} }, now);
    };
    for (now = 1000; now <= 100_000; now += 100) at(2, 1);
    assertEquals(said, [11_000, 21_000, 41_000, 81_000]);
    for (; now <= 112_000; now += 100) at(3, 1);
    assertEquals(said.length, 5);
  });
});
