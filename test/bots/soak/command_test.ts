import { assert, assertEquals, assertMatch } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import type { SoakReport } from "../../../bots/soak/report.ts";
import { type Ended, startCommand } from "../../support/command_process.ts";

const runtime = "deno" in process.versions ? "deno" : "bun";

function soak(...args: string[]): Promise<Ended> {
  return startCommand("bots/soak.ts", args).ended;
}

describe("the soak", () => {
  it(`finds no fault in this checkout's server on ${runtime}, though workers are killed`, {
    timeout: 120_000,
    skip: process.platform === "linux" ? false : "processes share a port on Linux only",
  }, async () => {
    const { status, stdout, stderr } = await soak(
      ...["--runtime", runtime, "--minutes", "0.1", "--kill-every", "2.5s"],
      ...["--subscribers", "80", "--json", "-"],
    );
    assertMatch(stderr, /^FAULTS|^faults: none/m);
    const report = JSON.parse(stdout) as SoakReport;
    const [run] = report.runs;
    assertEquals([run!.fault_details, run!.faults], [[], {}]);
    assertEquals([status, report.passed, run!.passed], [0, true, true]);
    assert(run!.kills.length > 0);
    assert(run!.lost_to_kills > 0, "nobody was on a worker that was killed");
    assert(run!.delivered > 1_000);
    assertEquals([run!.memory?.judged, run!.stop?.status], [false, 0]);
    const attacked = Object.values(run!.attacks).filter(({ runs }) => runs > 0).length;
    assert(attacked >= 5, `only ${attacked} attacks began`);
    assertMatch(stderr, /\nseed \d+\nverdict: passed: \w+ held\n$/);
  });

  it("says what's wrong with a command line, and with a server that isn't there", {
    timeout: 60_000,
  }, async () => {
    const usage = await soak("--minutes", "never");
    assertEquals([usage.status, usage.stdout], [2, ""]);
    assertMatch(usage.stderr, /^soak: --minutes .*"never"\n$/);
    const nobody = await soak("--target", "127.0.0.1:1", "--minutes", "0.01");
    assertEquals([nobody.status, nobody.stdout], [1, ""]);
    assertMatch(nobody.stderr, /^soak: no server answers at 127\.0\.0\.1:1 .*\n$/);
  });
});
