import { assertEquals, assertGreater, assertMatch } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import {
  JanusClient,
  message,
  publish,
  publishForReceipt,
} from "../../support/clients/janus_client.ts";
import { Positions } from "../../support/clients/resuming_client.ts";
import { skipNats } from "../../support/processes/nats_server.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { skipWorkers } from "../../support/processes/workers.ts";
import { until } from "../../support/until.ts";
import { hasAll, MachineServer, NumberPublisher, withMachines } from "./nats_bed.ts";

const timeout = 240_000;

/** Milliseconds for what takes moments, on a machine that may be busy. */
const PATIENCE_MS = 30_000;

/** Waits until a machine has all that it knows the others to have. A client that comes sooner may wait in vain. */
async function hasCaughtUp(machine: MachineServer): Promise<void> {
  await machine.becomes("it has what the others have", ({ cluster }) => {
    return cluster.is_connected && cluster.members.every(({ lag_ms }) => lag_ms === 0);
  });
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`machines that change, on ${runtime}`, { skip: skipNats || skipWorkers }, () => {
    it("lose nothing on a roll of workers, nor when one is replaced", { timeout }, async () => {
      await withMachines(runtime, [["--workers", "2"], []], async ([a, b], nats) => {
        const there = await JanusClient.subscribed(b!.server, "t");
        const publisher = await NumberPublisher.start(b!, 20);
        // A client of the other machine that keeps its position, wherever it is.
        const positions = new Positions();
        const got: unknown[] = [];
        const follow = async (machine: MachineServer) => {
          positions.reconnect();
          const client = await JanusClient.greeted(machine.server);
          client.send(positions.subscribe("t"));
          const take = () => {
            for (const text of client.frames.splice(0)) {
              const frame = positions.take(text);
              if (frame.what === "resume" && got.length > 0) {
                assertEquals(frame.resume.reason, "ok");
              }
              if (frame.what === "message") got.push(frame.data);
            }
          };
          const timer = setInterval(take, 10);
          return { client, stop: () => (clearInterval(timer), take()) };
        };
        let reader = await follow(a!);
        await until("messages come", () => got.length > 20, PATIENCE_MS);
        const old = new Set((await a!.status()).workers.map(({ process }) => process.pid));
        process.kill(a!.server.pid, "SIGUSR2");
        const rolled = await a!.becomes("both workers are new", ({ workers, cluster }) => {
          return cluster.holder !== null && cluster.is_connected &&
            workers.every(({ process }) => process !== null && !old.has(process.pid));
        });
        assertEquals(rolled.cluster.counts["holes"], 0);
        // Its worker has closed it.
        await until("its worker has gone", () => reader.client.ended !== null, PATIENCE_MS);
        reader.stop();
        await hasCaughtUp(a!);
        reader = await follow(a!);
        const beforeThat = got.length;
        await until("messages come there", () => got.length > beforeThat, PATIENCE_MS);
        // The machine is upgraded: another one comes, and it goes.
        const c = await MachineServer.start(runtime, nats);
        a!.server.signal("SIGTERM");
        await until("it is told", () => reader.client.ended !== null, PATIENCE_MS);
        reader.stop();
        await hasCaughtUp(c);
        reader = await follow(c);
        const before = got.length;
        await until("messages come there too", () => got.length > before, PATIENCE_MS);
        publisher.stop();
        await hasAll(there, publisher.count);
        await until("it has all", () => got.at(-1) === publisher.count - 1, PATIENCE_MS);
        assertEquals(got, Array.from(got, (_, at) => (got[0] as number) + at));
        assertEquals(got.at(-1), publisher.count - 1);
        reader.stop();
        reader.client.close();
        publisher.close();
        there.close();
        c.server.signal("SIGTERM");
        await c.server.exited();
      });
    });

    it(
      "say what can't be had any more to those that resume, and to no others",
      { timeout },
      async () => {
        const small = ["--cluster-log-bytes", "1048576"];
        await withMachines(runtime, [small, small], async ([a, b], nats) => {
          const positions = new Positions();
          const resuming = await JanusClient.greeted(b!.server);
          const plain = await JanusClient.subscribed(b!.server, "t");
          resuming.send(positions.subscribe("t"));
          const publisher = await JanusClient.greeted(a!.server);
          publisher.send(publish(message("t", "first")));
          await until(
            "it is there",
            () => plain.frames.length === 1 && resuming.frames.length === 4,
            PATIENCE_MS,
          );
          for (const text of resuming.frames.splice(0)) positions.take(text);
          await nats.kill();
          await a!.becomes("it notices", ({ cluster }) => !cluster.is_connected);
          for (let i = 0; i < 40; i++) publisher.send(publish(message("t", "x".repeat(60_000))));
          publisher.send(publishForReceipt(message("t", "last")));
          await until("all is accepted", () => publisher.frames.length > 0, PATIENCE_MS);
          await nats.restart();
          await until("it is told", () => resuming.ended !== null, PATIENCE_MS);
          // It gets nothing from behind the hole, or its position would be there, as if it had missed nothing.
          assertEquals(resuming.frames.length, 1);
          assertEquals(JSON.parse(resuming.frames[0]!).error.code, "discontinuity");
          assertMatch(
            b!.server.stderr,
            /are lost .*, since their machine doesn't keep them any more;/,
          );
          await until("others go on", () => plain.frames.at(-1)!.includes('"last"'), PATIENCE_MS);
          assertEquals(plain.ended, null);
          assertGreater(40, plain.frames.length);
          positions.reconnect();
          const again = await JanusClient.greeted(b!.server);
          again.send(positions.subscribe("t"));
          await until("it is answered", () => again.frames.length >= 2);
          const { resume } = JSON.parse(again.frames[0]!);
          assertEquals([resume.recovered, resume.reason], [false, "gap"]);
          // From now on it is where the others are.
          for (const text of again.frames.splice(0)) positions.take(text);
          again.close();
          const third = await JanusClient.greeted(b!.server);
          third.send(positions.subscribe("t"));
          await until("it is answered", () => third.frames.length >= 2);
          assertEquals(JSON.parse(third.frames[0]!).resume.reason, "ok");
          assertEquals((await b!.status()).cluster.counts["holes"], 1);
          for (const client of [plain, third, publisher]) client.close();
        });
      },
    );
  });
}
