import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import type { Strike } from "../../../tools/soak/checks/strike_history.ts";
import type { SoakReport, SoakRun } from "../../../tools/soak/report.ts";
import { reportText } from "../../../tools/soak/text.ts";

const NONE: Readonly<Record<Strike, number>> = {
  killed: 0,
  asked: 0,
  hung: 0,
  rolled: 0,
  exhausted: 0,
  cut: 0,
  renewed: 0,
  misrenewed: 0,
  member_killed: 0,
  nats_restarted: 0,
};

function textOf(run: Partial<SoakRun>, passed = true): string {
  const report: SoakReport = {
    hotwheels_version: "1.0.0",
    client_runtime: "deno 2.0.0",
    seed: 1,
    minutes: 1,
    workers: 3,
    members: 1,
    kill_every_s: null,
    chaos_every_s: 20,
    arguments: [],
    interrupted: false,
    passed,
    runs: [{
      server: "deno",
      runtime_version: "2.0.0",
      door: "open",
      started_at: "2026-01-01T00:00:00.000Z",
      passed,
      load_s: 60,
      subscribers: 10,
      streams: 1,
      published: 1,
      delivered: 1,
      receipts: 1,
      library: {},
      resumes: {},
      lost_to_kills: 0,
      lost_to_own_pace: 0,
      latency: null,
      faults: {},
      fault_details: [],
      kills: [],
      strikes: NONE,
      left_out: {},
      renewals: 0,
      memory: null,
      peak_resident_bytes: null,
      waited_share: null,
      samples: [],
      descriptors: null,
      attacks: {},
      stop: null,
      ...run,
    }],
  };
  const text = reportText(report);
  assertEquals(text.split("\n").filter((line) => line.length > 80), []);
  // As it was before it was broken into lines.
  return text.replaceAll(/\n +/g, " ");
}

describe("a soak's report for people", () => {
  it("counts strikes by kind, and the connections that ended with them", () => {
    assertStringIncludes(textOf({}), "\nworkers killed: 0, asked to end: 0, hung: 0\n");
    const kill = (how: Strike) => ({ at_s: 1, pid: 2, how, connections: 10 });
    const text = textOf({
      kills: [kill("killed"), kill("hung"), kill("rolled"), kill("cut"), kill("misrenewed")],
      strikes: { ...NONE, killed: 1, hung: 1, rolled: 1, cut: 1, misrenewed: 1 },
      lost_to_kills: 7,
    });
    assertStringIncludes(
      text,
      "\nworkers killed: 1, asked to end: 0, hung: 1, all workers replaced: 1, links cut: 1, " +
        "unusable certificate: 1, with 20 connections ended, 7 of them healthy clients'\n",
    );
  });

  it("says of a server that had no time to run that it can't be judged, unless it held all the same", () => {
    const waits = "the server's processes waited for a processor for";
    const verdicts = [[0.8, false], [0.81, false], [0.95, true]] as const;
    const [failed, invalid, held] = verdicts.map(([share, passed]) =>
      textOf({ waited_share: share }, passed)
    );
    assertStringIncludes(failed!, `\n${waits} 80 % of their time\n`);
    assertStringIncludes(failed!, "\nverdict: FAILED: deno FAILED");
    assertStringIncludes(
      invalid!,
      `\n${waits} 81 % of their time: this machine is too busy to judge`,
    );
    assertStringIncludes(invalid!, "\nverdict: INVALID: deno can't be judged");
    assertStringIncludes(held!, "\nverdict: passed: deno held");
    assertEquals(textOf({}).includes(waits), false);
  });

  it("says in one line each which strikes weren't possible, and why", () => {
    const text = textOf({ left_out: { cut: "there is no perl", renewed: "the server has none" } });
    assertStringIncludes(
      text,
      "\nleft out: links cut: there is no perl\n" +
        "left out: certificate changed: the server has none\n",
    );
  });
});
