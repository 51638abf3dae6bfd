import { assert, assertEquals } from "@std/assert";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { PROJECT_ROOT } from "../../cli/program.ts";
import { ServerCommand } from "../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../support/processes/tested_runtimes.ts";

const RULES = join(PROJECT_ROOT, "deploy", "prometheus", "rules", "hotwheels.yml");

const skip = spawnSync("promtool", ["--version"]).status === 0
  ? false
  : "there is no promtool here";

function promtool(...args: string[]): void {
  const { status, stdout, stderr } = spawnSync("promtool", args, { encoding: "utf8" });
  assertEquals(status, 0, stdout + stderr);
}

describe("the alerts for Prometheus", () => {
  it("are what Prometheus understands", { skip }, () => promtool("check", "rules", RULES));

  it("fire when they should, and only then", { skip }, () => {
    promtool("test", "rules", join(PROJECT_ROOT, "test", "deploy", "alerts.yml"));
  });

  it("ask for metrics and bounds that the server has", { timeout: 60_000 }, async () => {
    const server = await ServerCommand.listening(TESTED_RUNTIMES[0]!, ["--admin", ":0"]);
    try {
      const url = /admin on (http:\S+)\)/.exec(server.stdout)![1]!;
      const metrics = await (await fetch(`${url}/metrics`)).text();
      const rules = readFileSync(RULES, "utf8");
      const names = [...rules.matchAll(/\bhotwheels_[a-z_]+/g)].map(([name]) => name);
      assert(names.length > 10);
      for (const name of names) assert(metrics.includes(`\n${name}`), name);
      for (const [label] of rules.matchAll(/(?:le|reason)="[^"]+"/g)) {
        assert(metrics.includes(label), label);
      }
    } finally {
      await server.dispose();
    }
  });

  it("stand in docs/operating.md, each with what to do", () => {
    const document = readFileSync(join(PROJECT_ROOT, "docs", "operating.md"), "utf8");
    const alerts = readFileSync(RULES, "utf8").matchAll(/alert: (\w+)/g);
    for (const [, alert] of alerts) assert(document.includes(`\`${alert}\``), alert);
  });
});
