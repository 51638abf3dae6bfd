import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import type { CompareReport, RunReport } from "../../../tools/compare/results/report.ts";
import { descendants } from "../../support/processes/process_tree.ts";
import { leftTo } from "../../support/processes/tested_runtimes.ts";
import { until } from "../../support/until.ts";
import { MetadataService } from "../doctor/metadata_service.ts";
import type { Script } from "../../bots/run/scripted_server.ts";
import {
  compare,
  PATIENCE,
  sendLate,
  startCompare,
  statusOf,
  STEADY,
  withFolder,
  withServers,
} from "./comparison.ts";

/** The runs that aren't counted for that reason; a busy machine may have given others. */
function because(report: CompareReport | null, reason: RegExp): RunReport[] {
  return report!.runs.filter((run) => run.invalid_because.some((one) => reason.test(one)));
}

describe("a comparison", () => {
  it("doesn't count a run that lost a message, makes it again, and says so", {
    ...PATIENCE,
    skip: leftTo("deno"),
  }, async () => {
    const losesOne: Script = {
      onPublish({ message, subscribers, round }) {
        sendLate(message, round === 1 ? subscribers.slice(1) : subscribers);
      },
    };
    await withServers([losesOne, STEADY], async (targets) => {
      const { status, stdout, report } = await compare([
        ...[5, ...targets, "--runs", 1, "--rounds", 1, "--timeout", "2s"],
      ]);
      assertEquals(status, statusOf(report!));
      const lost = because(report, /^1 of 5 bots did not get each message/);
      assertEquals(lost.map(({ arm, pass }) => [arm, pass]), [["a", 1]]);
      assertEquals(report!.runs.some(({ arm, pass }) => arm === "a" && pass === 2), true);
      assertMatch(stdout, /\na: \d valid runs? of 1 message, \d invalid runs?\n/);
      assertStringIncludes(stdout, `run ${lost[0]!.run}, a, isn't counted: 1 of 5 bots did not`);
    });
  });

  it(
    "ends with status 1 where valid runs can't be had, and reports all the same",
    { ...PATIENCE, skip: leftTo("bun") },
    async () => {
      const deaf: Script = { onPublish() {} };
      await withServers([deaf, STEADY], async (targets) => {
        const { status, report, files } = await compare([
          ...[5, ...targets, "--runs", 1, "--rounds", 1, "--timeout", "600ms"],
        ]);
        assertEquals([status, report!.runs.length], [1, 6]);
        const [deafs, others] = report!.sizes[0]!.arms;
        assertEquals([deafs!.valid_runs, others!.valid_runs > 0], [0, true]);
        assertEquals(files.includes("report.html"), true);
      });
    },
  );

  it("doesn't count a run whose server died", {
    ...PATIENCE,
    skip: leftTo("bun"),
  }, async () => {
    const flags = ["--runs", 2, "--rounds", 1, "--target", "x=bun", "--target", "y=bun"];
    await withFolder(async (folder) => {
      const command = startCompare([20, ...flags, "--out", folder]);
      await until("the first pass is over", () => command.stderr.includes("run 2 of 4"), 60_000);
      let server: number | undefined;
      await until("there is a server", () => {
        server = descendants(command.pid).find((one) => /server\/main\.ts/.test(one.command))?.pid;
        return server !== undefined;
      });
      process.kill(server!, "SIGKILL");
      await command.ended;
      const report = JSON.parse(readFileSync(join(folder, "report.json"), "utf8"));
      const killed = because(report, /^the server (?:ended during|on bun did not start)/);
      assertEquals(killed.length, 1);
    });
  });

  it(
    "records what EC2 says, and counts no run during which it held packets up",
    { ...PATIENCE, skip: leftTo("deno") },
    async () => {
      const service = await MetadataService.start();
      const folder = mkdtempSync(join(tmpdir(), "hotwheels-ethtool-"));
      // Counts its own calls: the second run's two readings differ, the others' don't.
      const ethtool = `#!/bin/sh
echo x >> "${folder}/calls"
calls=$(wc -l < "${folder}/calls")
echo "     conntrack_allowance_exceeded: 0"
echo "     pps_allowance_exceeded: $([ "$calls" -ge 5 ] && echo 3 || echo 0)"
`;
      writeFileSync(join(folder, "ethtool"), ethtool);
      chmodSync(join(folder, "ethtool"), 0o755);
      try {
        await withServers([STEADY, STEADY], async (targets) => {
          const { status, stdout, report } = await compare(
            [5, ...targets, "--runs", 2, "--rounds", 1, "--ec2"],
            {
              AWS_EC2_METADATA_SERVICE_ENDPOINT: service.endpoint,
              PATH: `${folder}:${process.env["PATH"]}`,
              HOTWHEELS_FACTS: "device=eth7",
            },
          );
          const { ec2 } = report!.environment;
          assertEquals(ec2!.instance_type, "t4g.small");
          assertEquals(ec2!.allowances_after!.pps_allowance_exceeded, 3);
          const heldUp = because(report, /pps_allowance_exceeded moved by 3/);
          assertEquals(heldUp.map(({ run, valid }) => [run, valid]), [[2, false]]);
          assertEquals(status, statusOf(report!));
          assertStringIncludes(stdout, "run 2,");
        });
      } finally {
        rmSync(folder, { recursive: true });
        await service.stop();
      }
    },
  );
});
