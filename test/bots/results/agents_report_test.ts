import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import type { GroupRound } from "../../../bots/fleet/group.ts";
import { type ClockComparison, compared } from "../../../bots/measures/clock_offset.ts";
import { buildReport } from "../../../bots/results/build_report.ts";
import type { BotsReport, EnvironmentReport } from "../../../bots/results/report.ts";
import { reportText } from "../../../bots/results/report_text.ts";
import { OPTIONS } from "../run/scripted_run.ts";
import { groupRound as sampleRound, PUBLISHED_AT_MS, SETUP } from "./sample_run.ts";

const ENVIRONMENT = { runtime: "bun", arguments: [] as string[] } as EnvironmentReport;

/** A process whose bots had the message after so many milliseconds, and whose loop lagged. */
function groupRound(latencies: readonly number[], lagMs = 1): GroupRound {
  return sampleRound([], {
    stampMicros: PUBLISHED_AT_MS * 1000,
    receivedAtMs: latencies.map((ms) => PUBLISHED_AT_MS + ms),
    load: { wallMs: 1, cpuShare: 0, timerLagMs: { p99: 0, max: lagMs }, readDelayMs: null },
  });
}

/** A clock that is so far ahead, known to so much. */
function clock(offsetMs: number, errorMs: number): ClockComparison {
  const offset = { offsetMs, errorMs, roundTripMs: 2 * errorMs };
  return compared(offset, offset);
}

/** The report of a run on agents, each with its processes. */
function report(
  agents: readonly (readonly GroupRound[])[],
  errorMs = 0.25,
  options: Partial<typeof OPTIONS> = {},
): BotsReport {
  const groups = agents.flat();
  const names = agents.map((_, at) => `10.0.0.${at + 1}:9090`);
  const n = groups.reduce((sum, { receivedAtMs }) => sum + receivedAtMs.length, 0);
  return buildReport({
    clocks: groups.map((_, at) => clock(100 * at, at === 0 ? errorMs : errorMs / 2)),
    setups: groups.map(() => SETUP),
    refusal: null,
    settle: { settledMs: 200, isQuiet: true },
    rounds: [{ publishedAtMs: PUBLISHED_AT_MS, groups }],
    closedAtMs: PUBLISHED_AT_MS + 1000,
  }, {
    options: { ...OPTIONS, n, ...options },
    startedAt: new Date(0),
    addresses: ["10.0.0.9"],
    dialect: { name: "janus", stampedBy: "server" },
    processes: agents.flatMap((groups, agent) =>
      groups.map(({ receivedAtMs }, at) => ({
        pid: 100 * agent + at + 1,
        bots: receivedAtMs.length,
        agent: names[agent]!,
      }))
    ),
    environment: ENVIRONMENT,
    agents: agents.map((groups, agent) => ({
      name: names[agent]!,
      bots: groups.reduce((sum, { receivedAtMs }) => sum + receivedAtMs.length, 0),
      processes: groups.length,
      addresses: ["10.0.0.9"],
      environment: ENVIRONMENT,
    })),
  });
}

describe("the report of several machines", () => {
  it("has the quantiles of all samples together, as if one machine had them", () => {
    const samples = Array.from({ length: 1000 }, (_, at) => 20 + (at * 7919 % 1000) / 7);
    const alone = report([[groupRound(samples)]]);
    for (const cuts of [[500], [1], [10, 400, 999]]) {
      const parts = [0, ...cuts].map((from, at) =>
        groupRound(samples.slice(from, [...cuts, 1000][at]))
      );
      for (const shared of [parts.map((part) => [part]), [parts]]) {
        const run = report(shared);
        assertEquals(run.rounds[0]!.end_to_end_ms, alone.rounds[0]!.end_to_end_ms);
        assertEquals(run.rounds[0]!.latency_ms, alone.rounds[0]!.latency_ms);
        assertEquals(run.rounds[0]!.histogram, alone.rounds[0]!.histogram);
      }
    }
  });

  it("has a row for each agent, with its clocks and whether it was fit", () => {
    const run = report([
      [groupRound([40, 50]), groupRound([60])],
      [groupRound([100, 9_999], 80), groupRound([80])],
    ]);
    assertEquals(
      run.agents!.map((agent) => [agent.agent, agent.bots, agent.good, agent.bad, agent.last_ms]),
      [["10.0.0.1:9090", 3, 3, 0, 60], ["10.0.0.2:9090", 3, 2, 1, 100]],
    );
    assertEquals(run.rounds[0]!.agents, [
      { agent: "10.0.0.1:9090", good: 3, bad: 0, last_ms: 60 },
      { agent: "10.0.0.2:9090", good: 2, bad: 1, last_ms: 100 },
    ]);
    assertEquals(run.agents!.map(({ fit }) => fit), [true, true], "80 ms of a whole limit");
    const slow = report([[groupRound([40])], [groupRound([100], 80)]]);
    assertEquals(slow.agents!.map(({ fit }) => fit), [true, false]);
    assertEquals([slow.valid, slow.verdict], [false, "neither"]);
    assertStringIncludes(slow.invalid_because[0]!, "the agent at 10.0.0.2:9090, process 101: ");
    assertEquals(slow.agents![1]!.clocks, [{
      pid: 101,
      offset_ms: 100,
      error_ms: 0.125,
      before: { offset_ms: 100, error_ms: 0.125 },
      after: { offset_ms: 100, error_ms: 0.125 },
    }]);
    assertStringIncludes(
      reportText(slow),
      [
        "",
        "agent             bots     good  last ms clock ms        ±  fit",
        "10.0.0.1:9090        1        1    40.00     0.00     0.25  yes",
        "10.0.0.2:9090        1        1   100.00   100.00     0.13  NO",
        "",
      ].join("\n"),
    );
    assertEquals(JSON.parse(JSON.stringify(slow)), slow);
  });

  it("says how exact it is, and marks a run whose clocks are known too little", () => {
    const exact = report([[groupRound([40, 100])]], 5);
    assertEquals(exact.clock_error, { error_ms: 5, part_of_last: 0.05, small: true });
    assertEquals(reportText(exact).includes("MARKED"), false);
    assertStringIncludes(reportText(exact), "had the message after 100.0 ± 5.00 ms\n");
    const vague = report([[groupRound([40, 100])]], 5.1);
    assertEquals([vague.clock_error!.small, vague.valid], [false, true]);
    assertStringIncludes(
      reportText(vague),
      "\n  MARKED: the clocks' error, ± 5.10 ms, is 5.1 % of that; up to 5 % is small\n",
    );
  });

  it("counts what the clocks don't show against the server", () => {
    const sloMs = 100;
    assertEquals(report([[groupRound([98])]], 2, { sloMs }).slo, { limit_ms: 100, held: true });
    assertEquals(report([[groupRound([98])]], 2.1, { sloMs }).slo, { limit_ms: 100, held: false });
    assertEquals(report([[groupRound([995])]], 4).verdict, "under_1_s");
    assertEquals(report([[groupRound([995])]], 5).verdict, "under_2_s");
  });

  it("takes a message that seems to come before its publish for what it is", () => {
    const early = report([[groupRound([-0.2, 1])]], 0.25);
    assertEquals([early.good, early.rounds[0]!.end_to_end_ms!.min < 0], [2, true]);
    // But not one that does so by more than the clocks may be wrong.
    assertEquals(report([[groupRound([-0.3, 1])]], 0.25).good, 1);
  });
});
