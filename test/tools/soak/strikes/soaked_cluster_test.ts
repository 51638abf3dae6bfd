import { assert, assertEquals, assertNotEquals } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import { findProgram } from "../../../../cli/program.ts";
import { Cleanup } from "../../../../tools/harness/cleanup.ts";
import { ServerProcess } from "../../../../tools/harness/server_process.ts";
import { Faults } from "../../../../tools/soak/checks/faults.ts";
import { StrikeHistory } from "../../../../tools/soak/checks/strike_history.ts";
import { Watch } from "../../../../tools/soak/checks/watch.ts";
import { Random } from "../../../../tools/harness/random.ts";
import { SoakedCluster } from "../../../../tools/soak/strikes/soaked_cluster.ts";
import { killMember, restartNats } from "../../../../tools/soak/strikes/cluster.ts";
import type { StrikeContext } from "../../../../tools/soak/strikes/strike_context.ts";
import { JanusClient } from "../../../support/clients/janus_client.ts";
import { leftTo } from "../../../support/processes/tested_runtimes.ts";
import { skipNats } from "../../../support/processes/nats_server.ts";

const skip = skipNats || leftTo("bun") ||
  (process.platform === "linux" ? false : "the soak asks /proc");

describe("a cluster that is soaked", { skip }, () => {
  it("has members that are killed and come back at their ports, and NATS", {
    timeout: 120_000,
  }, async () => {
    const cleanup = new Cleanup();
    try {
      const cluster = await SoakedCluster.start(cleanup);
      await cluster.startOthers(1, (port) =>
        ServerProcess.start(
          "bun",
          findProgram("bun"),
          [
            ...["--host", "127.0.0.1", "--port", String(port), "--log-level", "error"],
            ...["--cluster", `nats://127.0.0.1:${cluster.natsPort}`],
          ],
          [],
          (group) => cleanup.add(group),
        ));
      const [member] = cluster.others;
      assert(member !== undefined);
      const faults = new Faults();
      await member.watch(faults);
      const strikes = new StrikeHistory();
      const excuses: number[] = [];
      const context: StrikeContext = {
        watch: await Watch.start(member.pid, new Faults()),
        strikes,
        faults,
        random: new Random(1),
        pid: member.pid,
        port: member.port,
        workers: 1,
        hangMs: { min: 1, max: 1 },
        renew: null,
        misrenew: null,
        onHung() {},
        cluster,
        onDelayed: (fromMs, toMs) => void excuses.push(fromMs, toMs),
        end: new AbortController().signal,
      };
      context.watch.stop();
      const target = { hostname: "127.0.0.1", port: member.port };
      const { pid } = member;
      const client = await JanusClient.greeted(target);
      await killMember(context);
      assertNotEquals(member.pid, pid);
      (await JanusClient.greeted(target)).close();
      client.close();
      const nats = cluster.natsPid;
      await restartNats(context);
      assertNotEquals(cluster.natsPid, nats);
      assertEquals(strikes.records.map(({ how }) => how), ["member_killed", "nats_restarted"]);
      assertEquals([excuses.length, excuses[1]! > Date.now()], [2, true]);
      // The watch takes no kill for an end by itself.
      assertEquals(faults.details, []);
      assert(member.peakResidentBytes > 0);
      member.unwatch();
      assertEquals(await member.stopped(), 0);
      await cluster.killNats();
    } finally {
      await cleanup.endAll();
    }
  });
});
