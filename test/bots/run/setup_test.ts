import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { Socket } from "node:net";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { RampUp } from "../../../bots/fleet/ramp_up.ts";
import { EnvironmentError } from "../../../cli/command_line.ts";
import { countsOf, OPTIONS, play } from "./scripted_run.ts";
import { measure } from "../../../bots/measure.ts";
import { detectRuntime } from "../../../runtime/detect.ts";
import { ScriptedServer } from "./scripted_server.ts";

/** Parts that no test reaches. */
const PATIENT = { stallMs: 600_000, retries: 20 };

describe("setting up", () => {
  it("tries again after a connection that broke before the subscription stood", async () => {
    const { report } = await play({
      onConnect(socket, number, server) {
        if (number === 1 || number === 2) socket.resetAndDestroy();
        else if (number === 3) socket.end();
        else server.greet(socket);
      },
      onSubscribe(socket, number, server) {
        if (number === 0) socket.destroy();
        else server.acknowledge(socket);
      },
    });
    const { failed_attempts, given_up } = report.setup;
    assertEquals(countsOf(report.rounds[0]), { good: 4 });
    assertEquals(failed_attempts, { closed_before_greeting: 3, closed_before_subscribed: 1 });
    assertEquals(given_up, 0);
  });

  it("doesn't ask again where the server says no, and goes on with the others", async () => {
    const { report, server } = await play({
      onConnect(socket, number, server) {
        if (number !== 2) return server.greet(socket);
        socket.end(
          '{"timestamp":[1,2,3],"error":{"code":"too_many_connections","message":"full"}}\x01',
        );
      },
    });
    assertEquals(report.setup.refusals, { too_many_connections: 1 });
    assertEquals(report.setup.given_up, 1);
    assertEquals(countsOf(report.rounds[0]), { good: 3, bad: 1, missing: 1, disconnected: 1 });
    // The probe, four bots and the publisher.
    assertEquals(server.connections, 6);
  });

  it("waits for the last bot before it publishes", async () => {
    const { report } = await play({
      onSubscribe(socket, number, server) {
        setTimeout(() => server.acknowledge(socket), number === 3 ? 300 : 0);
      },
    });
    assertEquals(countsOf(report.rounds[0]), { good: 4 });
  });

  it("reads greeting and ACK however they are split", async () => {
    const { report } = await play({
      async onConnect(socket) {
        const greeting = '{"timestamp":[1795,435717,985835],"token":"4b8e76c65a5f6b95"}\x01';
        for (const byte of greeting) {
          socket.write(byte);
          await sleep(0);
        }
      },
      onSubscribe(socket, _number, server) {
        socket.write("PING\x01PI");
        setTimeout(() => {
          socket.write("NG\x01");
          server.acknowledge(socket);
        }, 5);
      },
    });
    assertEquals(countsOf(report.rounds[0]), { good: 4 });
  });

  const servers = {
    "refuses every bot: idle_timeout": {
      onConnect: (socket: Socket) => {
        socket.end('{"timestamp":[1,2,3],"error":{"code":"idle_timeout","message":""}}\x01');
      },
    },
    "no bot could subscribe": {
      onConnect: (socket: Socket) => socket.end("HTTP/1.1 400 Bad Request\r\n"),
    },
  };
  for (const [message, script] of Object.entries(servers)) {
    it(`ends where it must come to nothing: ${message}`, async () => {
      const error = await assertRejects(() => play(script, { n: 2 }), EnvironmentError, message);
      assertStringIncludes(error.message, "127.0.0.1:");
    });
  }

  it("ends when the server stands still", { timeout: 120_000 }, async () => {
    await Promise.all([
      assertRejects(
        () => play({ onConnect() {} }),
        EnvironmentError,
        "accepts connections but sends no greeting",
      ),
      assertRejects(
        () => play({ onSubscribe() {} }),
        EnvironmentError,
        "acknowledges no subscription",
      ),
    ]);
  });

  it("ends when the publisher isn't let in", async () => {
    await assertRejects(
      () =>
        play({
          onConnect(socket, number, server) {
            if (number < 5) server.greet(socket);
            else socket.end('{"timestamp":[1,2,3],"error":{"code":"too_many_connections"}}\x01');
          },
        }),
      EnvironmentError,
      "the publisher can't connect",
    );
  });

  it("says so where there is no server", async () => {
    const server = await ScriptedServer.start();
    const { port } = server;
    await server.stop();
    const run = async () =>
      await measure(await detectRuntime(), { ...OPTIONS, port, host: "localhost" }, [], {
        onFindings() {},
        onStart: () => ({ update() {}, stop() {} }),
      });
    const error = await assertRejects(
      run,
      EnvironmentError,
      `no server answers at localhost:${port}`,
    );
    assertStringIncludes(error.message, `deno task serve --port ${port}`);
  });

  it("says so where the server doesn't listen on all addresses of the spread", async () => {
    await assertRejects(() => play({}, { spread: 3 }), EnvironmentError, "--host 0.0.0.0");
  });
});

describe("an rampUp", () => {
  it("has no more bots connecting at once than it may", async () => {
    let connecting = 0;
    let most = 0;
    const rampUp = new RampUp({
      ...PATIENT,
      size: 50,
      maxConnecting: 7,
      connect: async (index) => {
        most = Math.max(most, ++connecting);
        await sleep(1);
        connecting--;
        rampUp.onGreeted(index);
        rampUp.onSubscribed(index);
      },
      abandon() {},
    });
    const { subscribed, greeted, givenUp } = await rampUp.run();
    assertEquals({ most, subscribed, greeted, givenUp }, {
      most: 7,
      subscribed: 50,
      greeted: 50,
      givenUp: 0,
    });
  });

  it(
    "gives a bot up when it has tried again so often, each after a pause",
    { timeout: 60_000 },
    async () => {
      const attemptsAt: number[] = [];
      const rampUp = new RampUp({
        ...PATIENT,
        size: 1,
        maxConnecting: 1,
        connect: () => {
          attemptsAt.push(performance.now());
          return Promise.reject(Object.assign(new Error(), { code: "connection_refused" }));
        },
        abandon() {},
      });
      const { failedAttempts, givenUp } = await rampUp.run();
      assertEquals([failedAttempts, givenUp], [{ connection_refused: 21 }, 1]);
      assertEquals(attemptsAt.length, 21);
      for (let at = 1; at < attemptsAt.length; at++) {
        assertEquals(attemptsAt[at]! - attemptsAt[at - 1]! >= 1, true);
      }
    },
  );

  it("gives up those who are left when the server stands still", async () => {
    const abandoned: number[] = [];
    const rampUp = new RampUp({
      size: 5,
      maxConnecting: 3,
      retries: 20,
      stallMs: 100,
      connect: (index) => {
        if (index !== 0) return index === 1 ? new Promise(() => {}) : Promise.resolve();
        rampUp.onGreeted(0);
        rampUp.onSubscribed(0);
        return Promise.resolve();
      },
      abandon: (index) => abandoned.push(index),
    });
    const { subscribed, givenUp } = await rampUp.run();
    assertEquals([subscribed, givenUp], [1, 4]);
    assertEquals(abandoned, [1, 2, 3, 4]);
  });

  it("drops a connection that comes when its bot is given up", async () => {
    const abandoned: number[] = [];
    let connect = () => {};
    const rampUp = new RampUp({
      size: 1,
      maxConnecting: 1,
      retries: 20,
      stallMs: 50,
      connect: () => new Promise((resolve) => connect = resolve),
      abandon: (index) => abandoned.push(index),
    });
    assertEquals((await rampUp.run()).givenUp, 1);
    connect();
    await sleep(0);
    assertEquals(abandoned, [0, 0]);
  });
});
