import { assert, assertEquals, assertMatch } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import type { SoakReport, SoakRun } from "../../../tools/soak/report.ts";
import { type Ended, startCommand } from "../../support/processes/command_process.ts";

const runtime = "deno" in process.versions ? "deno" : "bun";

function soak(...args: string[]): Promise<Ended> {
  return startCommand("tools/soak/main.ts", args).ended;
}

describe("the soak", () => {
  it(`finds no fault in this checkout's servers on ${runtime}, though workers end`, {
    timeout: 180_000,
    skip: process.platform === "linux" ? false : "processes share a port on Linux only",
  }, async () => {
    const { status, stdout, stderr } = await soak(
      ...["--runtime", runtime, "--minutes", "0.12", "--kill-every", "3s"],
      // A frame may take longer than the second that it has where memory is tight: that server is for a
      // machine with nothing else to do.
      ...["--door", "open,locked", "--subscribers", "80", "--json", "-"],
      // Of a machine that runs other tests meanwhile; a server that freezes passes neither.
      ...["--max-p99", "8s", "--max-latency", "20s"],
    );
    const report = JSON.parse(stdout) as SoakReport;
    for (const run of report.runs) {
      assertEquals([run.fault_details, run.faults], [[], {}], run.door);
      // On a busy machine a new worker isn't there yet when the next one should end.
      assert(run.kills.length > 0, "no worker was made to end");
      assert(run.delivered > 500);
      assert(run.receipts > 0);
      assert(run.latency !== null && run.latency.messages > 50, "no bystander was measured");
      assert(run.peak_resident_bytes! > 0);
      assertEquals([run.memory?.judged, run.stop?.status, run.passed], [false, 0, true]);
    }
    const [open, locked] = report.runs;
    const sum = (pick: (run: SoakRun) => number) =>
      report.runs.reduce((total, run) => total + pick(run), 0);
    for (const door of ["tcp", "websocket"] as const) {
      assert(sum(({ library }) => library[door]!.delivered) > 0, `no message came over ${door}`);
    }
    assert(sum((run) => run.lost_to_kills) > 0, "nobody was on a worker that ended");
    assert(sum((run) => run.delivered) > 1_000);
    const attacked = sum(({ attacks }) => Object.values(attacks).filter((a) => a.runs > 0).length);
    assert(attacked >= 6, `only ${attacked} attacks began`);
    assert(
      report.runs.every(({ attacks }) => Object.values(attacks).some((a) => a.sent_bytes > 0)),
    );
    assertEquals([open!.door, open!.renewals, locked!.door], ["open", 0, "locked"]);
    assert(locked!.renewals > 0);
    assertEquals([status, report.passed], [0, true]);
    assertMatch(stderr, /^faults: none/m);
    // Beside the report there is what the servers log.
    const own = stderr.split("\n").filter((line) => !/^\d{4}-\d\d-\d\dT/.test(line));
    assertEquals(own.filter((line) => line.length > 80), []);
    assertMatch(stderr, /\nseed \d+\nverdict: passed: (\w+) held, \1 behind TLS held\n$/);
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
