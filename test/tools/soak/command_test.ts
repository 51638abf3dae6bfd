import { assert, assertEquals, assertMatch } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import { isFit } from "../../../tools/soak/checks/fitness.ts";
import type { SoakReport } from "../../../tools/soak/report.ts";
import { type Ended, startCommand } from "../../support/processes/command_process.ts";

const runtime = "deno" in process.versions ? "deno" : "bun";

/** Each runtime's run tries one of both: the soak is the same, and so are the attacks. */
const door = runtime === "deno" ? "open" : "locked";

function soak(...args: string[]): Promise<Ended> {
  return startCommand("tools/soak/main.ts", args).ended;
}

/**
 * Soaks this checkout's server, and asserts that no fault was found.
 *
 * @returns (resolves) what happened, and whether that was enough to find faults.
 */
async function soaked(
  minutes: string,
  killEvery: string,
): Promise<{ isTelling: boolean; what: string }> {
  const { status, stdout, stderr } = await soak(
    ...["--runtime", runtime, "--minutes", minutes, "--kill-every", killEvery],
    // A frame may take longer than the second that it has where memory is tight: that server is for a
    // machine with nothing else to do.
    ...["--door", door, "--subscribers", "80", "--json", "-"],
    // Of a machine that runs other tests meanwhile; a server that freezes passes neither.
    ...["--max-p99", "8s", "--max-latency", "20s"],
  );
  assert(stdout !== "", `status ${status}: ${stderr}`);
  const report = JSON.parse(stdout) as SoakReport;
  assertEquals(report.runs.length, 1);
  const run = report.runs[0]!;
  const told = `${JSON.stringify(run.kills)}\n${stderr}`;
  // The soak says itself that a machine as busy as this one was can't judge a server.
  if (!run.passed && !isFit(run.waited_share)) return { isTelling: false, what: told };
  assertEquals([run.fault_details, run.faults], [[], {}], told);
  assert(run.peak_resident_bytes! > 0);
  assertEquals([run.memory?.judged, run.stop?.status, run.passed], [false, 0, true]);
  const attacks = Object.values(run.attacks).filter(({ runs }) => runs > 0);
  assertEquals(run.door, door);
  assertEquals([status, report.passed], [0, true]);
  assertMatch(stderr, /^faults: none/m);
  // Beside the report there is what the servers log.
  const own = stderr.split("\n").filter((line) => !/^\d{4}-\d\d-\d\dT/.test(line));
  assertEquals(own.filter((line) => line.length > 80), []);
  assertMatch(stderr, /\nseed \d+\nverdict: passed: \w+(?: behind TLS)? held\n$/);
  const isTelling = run.kills.length > 0 && run.lost_to_kills > 0 && run.delivered > 500 &&
    run.receipts > 0 && (run.latency?.messages ?? 0) > 50 &&
    run.library.tcp!.delivered > 0 && run.library.websocket!.delivered > 0 &&
    attacks.length >= 3 && attacks.some((attack) => attack.sent_bytes > 0) &&
    run.renewals > 0 === (door === "locked");
  return { isTelling, what: told };
}

describe("the soak", () => {
  it(`finds no fault in this checkout's server on ${runtime}, though workers end`, {
    timeout: 300_000,
    skip: process.platform === "linux" ? false : "processes share a port on Linux only",
  }, async () => {
    // On a busy machine too little happens in a short one.
    let run = await soaked("0.12", "3s");
    if (!run.isTelling) run = await soaked("0.5", "10s");
    if (!run.isTelling) run = await soaked("1.5", "20s");
    assert(run.isTelling, run.what);
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
