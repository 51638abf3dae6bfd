import { assertEquals, assertMatch } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import type { ChurnRun } from "../../../tools/churn/churn.ts";
import { type Ended, startCommand } from "../../support/processes/command_process.ts";

const runtime = "deno" in process.versions ? "deno" : "bun";

function churn(...args: string[]): Promise<Ended> {
  return startCommand("tools/churn/main.ts", args).ended;
}

describe("the churn", () => {
  it("makes and closes thousands of connections, and none fails or stays", {
    timeout: 120_000,
    skip: process.platform === "linux" ? false : "looks at processes as Linux has them",
  }, async () => {
    const { status, stdout, stderr } = await churn(
      ...["2000", "--runtime", runtime, "--workers", "2", "--json", "-"],
    );
    const { passed, runs: [run] } = JSON.parse(stdout) as { passed: boolean; runs: ChurnRun[] };
    assertEquals([status, passed, run!.failed, run!.stop?.status], [0, true, 0, 0], stderr);
    const { plateaus } = run!;
    assertEquals(plateaus.map(({ connections }) => connections), [500, 1000, 1500, 2000]);
    assertEquals(new Set(plateaus.map(({ descriptors }) => descriptors)).size, 1);
    assertEquals(run!.judged, false);
    assertMatch(stderr, /\nverdict: passed: memory [+-]\d+\.\d % [^]* too\s+few\s+connections/);
    assertEquals(stderr.split("\n").filter((line) => line.length > 80), []);
  });

  it("refuses what it doesn't understand", { timeout: 60_000 }, async () => {
    for (const args of [["some"], ["99"], ["1000", "2000"], ["--runtime", "node"], ["--fast"]]) {
      const { status, stdout, stderr } = await churn(...args);
      assertEquals([status, stdout], [2, ""]);
      assertMatch(stderr, /^churn: .*\n$/);
    }
  });
});
