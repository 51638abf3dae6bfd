import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { JanusClient, message } from "../../../support/clients/janus_client.ts";
import { startTask } from "../../../support/processes/command_process.ts";
import { skipNats } from "../../../support/processes/nats_server.ts";
import { TESTED_RUNTIMES } from "../../../support/processes/tested_runtimes.ts";
import { onEachWorker, skipWorkers, workersOf } from "../../../support/processes/workers.ts";
import { until } from "../../../support/until.ts";
import { hasAll, MachineServer, NumberPublisher, withMachines } from "../nats_bed.ts";

const timeout = 120_000;

for (const runtime of TESTED_RUNTIMES) {
  describe(`a cluster over NATS on ${runtime}`, { skip: skipNats || skipWorkers }, () => {
    it(
      "brings a message to the clients of all machines, and sums receipts",
      { timeout },
      async () => {
        await withMachines(runtime, [[], ["--workers", "2"]], async ([a, b]) => {
          const there = await onEachWorker(
            workersOf(b!.server),
            b!.server,
            () => JanusClient.subscribed(b!.server, "t"),
          );
          const readers = [await JanusClient.subscribed(a!.server, "t"), ...there.clients];
          for (const [data, { server }] of [a!, b!].entries()) {
            const publisher = await JanusClient.greeted(server);
            publisher.send(`{"action":"publish","data":${message("t", data)}}\0`);
            await until("the receipt is here", () => publisher.frames.length === 1);
            const { timestamp, receipt } = JSON.parse(publisher.frames[0]!);
            assertEquals(receipt.matched, readers.length);
            assertEquals(receipt.peers, { asked: 1, answered: 1 });
            for (const reader of readers) {
              await until("it is everywhere", () => reader.frames.length === data + 1);
              const got = JSON.parse(reader.frames[data]!);
              assertEquals([got.data, got.timestamp], [data, timestamp]);
            }
            publisher.close();
          }
          const top = await startTask(runtime, "top", [a!.adminUrl, "--count", "1"]).ended;
          assertMatch(top.stdout, / nats=connected machines_heard=1 machines_silent=0$/m);
          for (const reader of readers) reader.close();
        });
      },
    );

    it("loses nothing where NATS dies in mid-burst, or stands still", { timeout }, async () => {
      await withMachines(runtime, [["--workers", "2"], []], async ([a, b], nats) => {
        const [here, there] = [
          await JanusClient.subscribed(a!.server, "t"),
          await JanusClient.subscribed(b!.server, "t"),
        ];
        const publisher = await NumberPublisher.start(a!);
        await until("the burst has begun", () => there.frames.length > 100);
        await nats.kill();
        await a!.becomes("it notices", ({ cluster }) => !cluster.is_connected);
        assertEquals(await a!.readiness(), { code: 200, status: "degraded" });
        // Its own clients are served meanwhile.
        const before = here.frames.length;
        await until("its own clients go on", () => here.frames.length > before + 50);
        await nats.restart();
        await a!.sees(1);
        assertEquals(await a!.readiness(), { code: 200, status: "ok" });
        nats.signal("SIGSTOP");
        await sleep(2_500);
        const stopped = here.frames.length;
        await until("they go on", () => here.frames.length > stopped + 50);
        nats.signal("SIGCONT");
        await sleep(500);
        publisher.stop();
        await hasAll(here, publisher.count);
        await hasAll(there, publisher.count);
        const { cluster } = await b!.status();
        assertEquals(cluster.counts["holes"], 0);
        assertGreater(cluster.counts["gaps"]!, 0);
        publisher.close();
        here.close();
        there.close();
      });
    });

    it(
      "brings what was published before NATS was there for the first time",
      { timeout },
      async () => {
        await withMachines(runtime, [], async (_, nats) => {
          await nats.kill();
          const machines: MachineServer[] = [];
          try {
            machines.push(await MachineServer.start(runtime, nats));
            const publisher = await JanusClient.greeted(machines[0]!.server);
            publisher.send(`PUBLISH\0${message("t", "before the other one began")}\0`);
            machines.push(await MachineServer.start(runtime, nats, ["--workers", "2"]));
            const [a, b] = machines as [MachineServer, MachineServer];
            const { clients } = await onEachWorker(
              workersOf(b.server),
              b.server,
              () => JanusClient.subscribed(b.server, "t"),
            );
            for (let i = 0; i < 50; i++) publisher.send(`PUBLISH\0${message("t", i)}\0`);
            await nats.restart();
            for (const machine of machines) await machine.sees(1);
            publisher.send(`PUBLISH\0${message("t", 50)}\0`);
            for (const client of clients) await hasAll(client, 51);
            for (const machine of [a, b]) {
              assertEquals((await machine.status()).cluster.counts["holes"], 0);
            }
            for (const client of [publisher, ...clients]) client.close();
          } finally {
            for (const { server } of machines) await server.dispose();
          }
        });
      },
    );

    it("says that it is cut off where NATS takes a permission, or large frames no more", {
      timeout,
    }, async () => {
      const permit = (publish: string, subscribe: string) =>
        `authorization { users = [ { user: u, password: p, permissions: ` +
        `{ publish: { allow: "${publish}" }, subscribe: { allow: "${subscribe}" } } } ] }\n` +
        "no_auth_user: u\n";
      const all = "hotwheels.hotwheels.>";
      await withMachines(runtime, [[], []], async ([a, b], nats) => {
        const there = await JanusClient.subscribed(b!.server, "t");
        const publisher = await NumberPublisher.start(a!, 20);
        for (const settings of [permit(all, "x"), permit("x", all)]) {
          nats.reload(settings);
          await a!.becomes("it notices", ({ cluster }) => !cluster.is_connected);
          assertEquals(await a!.readiness(), { code: 200, status: "degraded" });
          nats.reload(permit(all, all));
          for (const machine of [a!, b!]) await machine.sees(1);
        }
        await nats.kill();
        await nats.restart(`${permit(all, all)}max_payload: 65536\n`);
        await until("it says so", () => a!.server.stderr.includes("its max_payload is 65536"));
        assertEquals(await a!.readiness(), { code: 200, status: "degraded" });
        await nats.kill();
        await nats.restart(permit(all, all));
        for (const machine of [a!, b!]) await machine.sees(1);
        publisher.stop();
        await hasAll(there, publisher.count);
        publisher.close();
        there.close();
      }, permit(all, all));
    });

    it("goes on where NATS takes its password for wrong a while", { timeout }, async () => {
      const user = (password: string) =>
        `authorization { users = [ { user: u, password: ${password} } ] }\n`;
      const flags = (port: string) => ["--cluster", `nats://u:p@127.0.0.1:${port}`];
      await withMachines(runtime, [flags], async ([a], nats) => {
        for (let i = 0; i < 3; i++) {
          nats.reload(user("another"));
          await a!.becomes("it is away", ({ cluster }) => !cluster.is_connected);
          await sleep(300);
          nats.reload(user("p"));
          await a!.sees(0);
        }
        assertEquals(await a!.readiness(), { code: 200, status: "ok" });
      }, user("p"));
    });

    it("goes on where the worker dies that speaks with NATS", { timeout }, async () => {
      await withMachines(runtime, [["--workers", "2"], ["--workers", "2"]], async ([a, b]) => {
        const holderOf = async (machine: MachineServer) => {
          const { cluster, workers } = await machine.becomes(
            "a worker holds the way",
            ({ cluster }) => cluster.holder !== null,
          );
          return workers.find(({ name }) => name === cluster.holder)!.process.pid;
        };
        // On both sides a client of the worker that stays.
        const [from, to] = [await holderOf(a!), await holderOf(b!)];
        const stays = async (machine: MachineServer, holder: number, topic: string) => {
          const pids = workersOf(machine.server);
          const { on, clients } = await onEachWorker(
            pids,
            machine.server,
            () => JanusClient.subscribed(machine.server, topic),
          );
          const [client] = on(pids.find((pid) => pid !== holder)!);
          for (const other of clients) if (other !== client) other.close();
          return client!;
        };
        const reader = await stays(b!, to, "t");
        const publisher = await stays(a!, from, "none");
        let count = 0;
        const timer = setInterval(() => {
          publisher.send(`PUBLISH\0${message("t", count++)}\0`);
        }, 2);
        await until("the burst has begun", () => reader.frames.length > 100);
        process.kill(from, "SIGKILL");
        await sleep(1_000);
        process.kill(to, "SIGKILL");
        await sleep(1_500);
        clearInterval(timer);
        await hasAll(reader, count);
        assertEquals((await b!.status()).cluster.counts["holes"], 0);
        publisher.close();
        reader.close();
      });
    });

    it(
      "lets clients go on at another machine, also one that has just started",
      { timeout },
      async () => {
        await withMachines(runtime, [[], []], async ([a, b], nats) => {
          // Slow enough for the history: a server may take long to start.
          const publisher = await NumberPublisher.start(a!, 50);
          const first = await JanusClient.greeted(b!.server);
          first.send('{"action":"subscribe","data":"t","resume":{}}\0');
          await until("some are there", () => first.frames.length > 20);
          first.close();
          // The machine dies, and another one takes its place.
          process.kill(b!.server.pid, "SIGKILL");
          const c = await MachineServer.start(runtime, nats);
          try {
            const position = positionOf(first.frames);
            const second = await JanusClient.greeted(c.server);
            second.send(
              `{"action":"subscribe","data":"t","resume":{"at":${JSON.stringify(position.at)}}}\0`,
            );
            await until("more are there", () => second.frames.length > 20);
            publisher.stop();
            const { resume } = JSON.parse(second.frames[0]!);
            assertEquals([resume.recovered, resume.reason], [true, "ok"]);
            const next = second.frames.map(dataOf).find((data) => data !== undefined);
            assertEquals(next, position.data + 1);
            second.close();
          } finally {
            c.server.signal("SIGTERM");
            await c.server.exited();
          }
          const silent = /machine [0-9a-f]{16} \(127\.0\.0\.1, .* is silent/;
          await until("the other notices", () => silent.test(a!.server.stderr));
          publisher.close();
        });
      },
    );
  });
}

function dataOf(frame: string): number | undefined {
  return frame.startsWith("{") ? JSON.parse(frame).data : undefined;
}

/** Where a client stands that has read these frames, and the last number that it has got. */
function positionOf(frames: readonly string[]): { at: Record<string, number>; data: number } {
  const at: Record<string, number> = {};
  let origin = "";
  let data = -1;
  for (const frame of frames) {
    if (!frame.startsWith("{")) continue;
    const read = JSON.parse(frame);
    if (read.resume !== undefined) Object.assign(at, read.resume.at);
    else if (read.from !== undefined) origin = read.from.origin;
    else if (read.data !== undefined) {
      const [mega, seconds, micros] = read.timestamp;
      at[origin] = (mega * 1e6 + seconds) * 1e6 + micros;
      data = read.data;
    }
  }
  assert(data >= 0);
  return { at, data };
}
