import { assertEquals, assertGreater, assertMatch } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import { scrape } from "../../support/clients/admin_client.ts";
import { JanusClient } from "../../support/clients/janus_client.ts";
import { skipNats } from "../../support/processes/nats_server.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { skipWorkers } from "../../support/processes/workers.ts";
import { until } from "../../support/until.ts";
import { hasAll, MachineServer, NumberPublisher, withMachines } from "./nats_bed.ts";

const timeout = 60_000;

for (const runtime of TESTED_RUNTIMES) {
  describe(
    `the members that a machine shows, on ${runtime}`,
    { skip: skipNats || skipWorkers },
    () => {
      it("have their lag, refills and holes, and come and go", { timeout }, async () => {
        await withMachines(runtime, [["--workers", "2"], []], async ([a, b], nats) => {
          const [member] = (await a!.status()).cluster.members;
          assertMatch(member!.machine, /^[0-9a-f]{16}$/);
          const { address, workers, is_there, lag_ms, refills, holes } = member!;
          // The system has chosen its port, which says nothing.
          assertEquals(address, "127.0.0.1");
          assertEquals([workers, is_there, lag_ms, refills, holes], [1, true, 0, 0, 0]);
          assertEquals((await b!.status()).cluster.members[0]!.workers, 2);
          const name = `hotwheels_cluster_lag_seconds{machine="${member!.machine}"}`;
          const samples = await scrape(a!.adminUrl);
          assertEquals([samples.get("hotwheels_cluster_members"), samples.get(name)], [1, 0]);

          // It stands still, and what it has sent at last is lost with NATS: it is behind, until it has that again.
          const reader = await JanusClient.subscribed(a!.server, "t");
          const publisher = await NumberPublisher.start(b!, 2);
          await until("messages come", () => reader.frames.length > 100);
          await nats.kill();
          const sent = publisher.count;
          await until("more are sent", () => publisher.count > sent + 100);
          await nats.restart();
          await a!.sees(1);
          publisher.stop();
          await hasAll(reader, publisher.count);
          const filled = await a!.becomes("it has all", ({ cluster }) => {
            return cluster.members[0]!.lag_ms === 0 && cluster.counts["refills"]! > 0;
          });
          const [again] = filled.cluster.members;
          assertGreater(again!.refills, 0);
          assertEquals([again!.gaps > 0, again!.holes], [true, 0]);
          assertGreater((await scrape(a!.adminUrl)).get("hotwheels_cluster_refills_total")!, 0);
          for (const client of [reader, publisher]) client.close();

          const c = await MachineServer.start(runtime, nats);
          await a!.sees(2);
          c.server.signal("SIGTERM");
          await c.server.exited();
          await a!.becomes("it has left", ({ cluster }) => cluster.members.length === 1);
          process.kill(b!.server.pid, "SIGSTOP");
          await a!.becomes("it is silent", ({ cluster }) => !cluster.members[0]!.is_there);
          assertEquals((await scrape(a!.adminUrl)).get("hotwheels_cluster_members"), 0);
          process.kill(b!.server.pid, "SIGCONT");
          await a!.sees(1);
        });
      });
    },
  );
}
