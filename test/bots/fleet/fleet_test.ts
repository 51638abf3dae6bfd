import { assertEquals, assertRejects } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import { Fleet, type FleetPlan } from "../../../bots/fleet/fleet.ts";
import { EnvironmentError } from "../../../cli/command_line.ts";
import { detectRuntime } from "../../../runtime/detect.ts";
import { isAlive } from "../../support/processes/command_process.ts";
import { until } from "../../support/until.ts";
import { type Script, ScriptedServer } from "../run/scripted_server.ts";

const PATIENCE = { timeout: 60_000 };

async function withFleet(
  script: Script,
  plan: Partial<FleetPlan>,
  test: (fleet: Fleet, server: ScriptedServer) => Promise<void>,
): Promise<void> {
  const server = await ScriptedServer.start(script);
  const fleet = await Fleet.start(await detectRuntime(), {
    n: 10,
    processes: 3,
    tls: null,
    keys: [],
    retries: 20,
    addresses: ["127.0.0.1"],
    port: server.port,
    dialect: "janus",
    topic: "events",
    data: "test",
    resumption: null,
    ...plan,
  });
  try {
    await test(fleet, server);
  } finally {
    fleet.abandon();
    await server.stop();
  }
}

describe("a fleet of several processes", () => {
  it("shares the bots evenly, in processes of their own", PATIENCE, async () => {
    await withFleet({}, {}, (fleet) => {
      assertEquals(fleet.processes.map(({ bots }) => bots), [3, 3, 4]);
      const pids = new Set([process.pid, ...fleet.processes.map(({ pid }) => pid)]);
      assertEquals(pids.size, 4);
      return Promise.resolve();
    });
  });

  it("goes through the phases together", PATIENCE, async () => {
    await withFleet({}, {}, async (fleet, server) => {
      let seen = 0;
      const setups = await fleet.setUp(({ subscribed }) => seen = subscribed);
      assertEquals(setups.map(({ subscribed }) => subscribed), [3, 3, 4]);
      assertEquals([seen, server.connections], [10, 10]);
      await fleet.settle();
      await fleet.begin();
      const received = fleet.received();
      server.publish('{"topic":"events","event":"test_event","message_id":"","data":"test"}');
      await received;
      const rounds = await fleet.collect();
      assertEquals(rounds.map(({ receivedAtMs }) => receivedAtMs.length), [3, 3, 4]);
      assertEquals(new Set(rounds.map(({ stampMicros }) => stampMicros)).size, 1);
      const now = performance.timeOrigin + performance.now();
      for (const { receivedAtMs } of rounds) {
        for (const ms of receivedAtMs) {
          // One clock in all processes: what is past here is past there.
          assertEquals(ms > now - 60_000 && ms <= now, true, `${ms} is no time before ${now}`);
        }
      }
      await fleet.leave();
      await until("the bots have closed", () => server.open === 0);
      assertEquals(server.said.filter((said) => said.includes("unsubscribe")).length, 10);
    });
  });

  it("ends its processes when it's dismissed", PATIENCE, async () => {
    let pids: number[] = [];
    await withFleet({}, {}, async (fleet) => {
      await fleet.setUp(() => {});
      pids = fleet.processes.map(({ pid }) => pid);
      assertEquals(pids.every(isAlive), true);
    });
    await until("the processes have ended", () => !pids.some(isAlive));
  });

  it("fails as soon as one of them dies, whatever it waits for", PATIENCE, async () => {
    const kill = (fleet: Fleet) => process.kill(fleet.processes[1]!.pid, "SIGKILL");
    await withFleet({ onSubscribe() {} }, {}, async (fleet) => {
      const setup = fleet.setUp(() => {});
      kill(fleet);
      const error = await assertRejects(() => setup, EnvironmentError, "the run is void");
      assertEquals(error.message.includes(String(fleet.processes[1]!.pid)), true);
    });
    await withFleet({}, {}, async (fleet) => {
      await fleet.setUp(() => {});
      await fleet.begin();
      const received = fleet.received();
      kill(fleet);
      await assertRejects(() => received, EnvironmentError, "by SIGKILL");
      await assertRejects(() => fleet.collect(), EnvironmentError, "by SIGKILL");
    });
  });
});
