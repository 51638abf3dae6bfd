import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import type { LoopReading } from "../../../bots/measures/loop_meter.ts";
import { outcomeOf } from "../../../bots/results/outcome.ts";
import type { BotsReport } from "../../../bots/results/report.ts";
import { reportText } from "../../../bots/results/report_text.ts";
import type { RunRecord } from "../../../bots/run/run.ts";
import { Mark } from "../../../bots/fleet/group.ts";
import { calm, groupRound, report, SAMPLE, SETUP } from "./sample_run.ts";

/** The lines of a report's text. */
function linesOf(run: BotsReport, isVerbose = false): string[] {
  return reportText(run, isVerbose).split("\n");
}

describe("the report's text", () => {
  it("has the answer first, then one table, the caveats, and what the bots of 2009 said", () => {
    const few = [
      "verdict: under 2 s: the last of 10000 bots had the message after 1270.0 ms",
      "",
      "milliseconds         min      p50      p90      p99    p99.9      max",
      "bots' clock         2.12   900.25  1100.25  1100.25  1100.25  1270.03",
      "server's clock      1.87   900.00  1100.00  1100.00  1100.00  1269.78",
      "",
      "bots' clock: from the publish to the arrival, by one machine's clock",
      "server's clock: from its timestamp to the arrival; needs clocks that agree",
      "",
      "setup: 5055.70ms, n: 10000, good: 10000, bad: 0, run: 7524.29ms",
      "    1.8690ms | min",
      "  500.0000ms | 2125   -  21.25%",
      " 1000.0000ms | 5010   -  50.10%",
      " 1500.0000ms | 2865   -  28.65%",
      " 1269.7850ms | max",
    ];
    const run = report([groupRound(SAMPLE)]);
    assertEquals(linesOf(run), few);
    assertEquals(linesOf(run, true), [
      ...few,
      "",
      "10000 bots in one process, connected to 127.0.0.1 port 8081",
      "failed attempts to connect: 0, given up: 0, refused: 0",
      "201 ms pause before the publish, until all was quiet",
      "missing: 0, duplicate: 0, corrupt: 0, foreign: 0, late: 0, disconnected: 0",
      "bots' process 4711: CPU 31 % of a core",
      "  loop lag p99 4.3 ms, max 6.5 ms, read delay p99 1.3 ms, max 2.0 ms",
      "quantiles are by nearest rank over all samples",
    ]);
  });

  it("keeps its columns with all bots in a row and a row without any", () => {
    const text = reportText(report([groupRound([30, 40, 12_000])], { timeoutMs: 60_000 }));
    assertStringIncludes(text, "\n  500.0000ms | 2      -  66.67%\n");
    assertStringIncludes(text, "\n 1000.0000ms | 0      -   0.00%\n");
    assertStringIncludes(text, "\n12000.0000ms | 1      -  33.33%\n12000.0000ms | max");
    assertStringIncludes(reportText(report([groupRound([5])])), "| 1      - 100.00%\n");
  });

  it("says of one bot that it's one", () => {
    const run = report([groupRound([5])]);
    assertEquals(linesOf(run)[0], "verdict: under 1 s: the one bot had the message after 5.3 ms");
    assertStringIncludes(reportText(run, true), "\n1 bot in one process, connected");
    assertEquals(
      linesOf(report([groupRound([0])]))[0],
      "verdict: FAILED: 1 of 1 bot did not get every message once, intact and in time",
    );
  });

  it("says what went wrong after setting up", () => {
    const bad = groupRound([10, 20, 0, 0], {
      marks: [[1, Mark.duplicate], [3, Mark.damaged]],
      refusals: { slow_consumer: 1 },
      disconnected: 1,
    });
    assertEquals(linesOf(report([bad])).slice(0, 4), [
      "verdict: FAILED: 3 of 4 bots did not get every message once, intact and in time",
      "  missing: 1, duplicate: 1, corrupt: 1, foreign: 0, late: 0, disconnected: 1",
      "  (slow_consumer 1)",
      "",
    ]);
  });

  it("calls a run invalid in which a bot never subscribed, and says why it didn't", () => {
    const failedAttempts = { timed_out: 3, connection_refused: 1 };
    const refusals = { too_many_connections: 2 };
    const runWith = (setup: Partial<RunRecord["setups"][0]>) =>
      report([groupRound([10, 20, 0, 0], { disconnected: 2 })], {}, [{
        ...SETUP,
        givenUp: 2,
        ...setup,
      }]);
    const refused = runWith({ failedAttempts, refusals });
    assertEquals(refused.invalid_because, [
      "2 of 4 bots never subscribed (refused: too_many_connections 2)",
    ]);
    assertEquals([refused.valid, refused.verdict, outcomeOf(refused)], [
      false,
      "neither",
      "invalid",
    ]);
    assertEquals(linesOf(refused).slice(0, 4), [
      "verdict: INVALID: this run is no measure of the server",
      "  2 of 4 bots never subscribed (refused: too_many_connections 2)",
      "  missing: 2, duplicate: 0, corrupt: 0, foreign: 0, late: 0, disconnected: 2",
      "",
    ]);
    assertStringIncludes(
      reportText(refused, true),
      "\nfailed attempts to connect: 4 (timed_out 3, connection_refused 1), given up: 2,\n" +
        "  refused: 2 (too_many_connections 2)\n",
    );
    assertEquals(runWith({ failedAttempts }).invalid_because, [
      "2 of 4 bots never subscribed (failed attempts: timed_out 3, connection_refused 1)",
    ]);
    assertEquals(runWith({}).invalid_because, ["2 of 4 bots never subscribed"]);
  });

  it("has no latencies to show without a good bot", () => {
    const lines = linesOf(report([groupRound([0, 0])]));
    assertEquals(lines.slice(0, 3), [
      "verdict: FAILED: 2 of 2 bots did not get every message once, intact and in time",
      "  missing: 2, duplicate: 0, corrupt: 0, foreign: 0, late: 0, disconnected: 0",
      "",
    ]);
    assertMatch(lines[3]!, /^setup: .*, n: 2, good: 0, bad: 2, run: /);
    assertEquals(lines.length, 4);
  });

  it("calls a run invalid that the bots held up: once, and with no other verdict", () => {
    const busy = { ...calm, readDelayMs: { p99: 300, max: 400 } };
    for (const options of [{}, { sloMs: 5000 }]) {
      const run = report([groupRound([10, 900], { load: busy })], options);
      const text = reportText(run, true);
      assertEquals([run.valid, run.verdict, run.slo?.held ?? false], [false, "neither", false]);
      assertEquals(outcomeOf(run), "invalid");
      assertEquals(text.match(/invalid/gi), ["INVALID"]);
      assertEquals(text.match(/under|held/g), null);
      assertStringIncludes(
        text,
        "\n  bots' process 4711: bytes that had arrived waited 400.0 ms to be read;\n" +
          "  225.1 ms is allowed in a round of 900.3 ms\n",
      );
    }
  });

  it("doesn't blame bots for missing what they had time enough for", () => {
    const late = { ...calm, timerLagMs: { p99: 5, max: 1249 } };
    const outcome = (load: LoopReading) => outcomeOf(report([groupRound([0, 0], { load })]));
    assertEquals(outcome(late), "failed", "within a quarter of the limit of 5 s");
    assertEquals(outcome({ ...late, timerLagMs: { p99: 5, max: 1251 } }), "invalid");
  });

  it("gives one verdict with an slo, too", () => {
    const verdict = (sloMs: number) => linesOf(report([groupRound([5, 99.75])], { sloMs }))[0];
    assertEquals(
      [verdict(100), verdict(99)],
      [
        "verdict: under 1 s, and the slo of 100 ms is held: the last of 2 bots had the",
        "verdict: FAILED: the slo of 99 ms is missed: the last of 2 bots had the message",
      ],
    );
  });

  it("shows each round, and the medians over the valid ones", () => {
    const busy = { ...calm, timerLagMs: { p99: 0, max: 3000 } };
    const run = report([
      groupRound([10, 20]),
      groupRound([900, 2500], { load: busy }),
      groupRound([30, 40]),
    ]);
    const text = reportText(run, true);
    assertStringIncludes(
      text,
      "\n\nround 1 of 3\nsetup: 5055.70ms, n: 2, good: 2, bad: 0, run: 20.25ms",
    );
    assertStringIncludes(
      text,
      "\n\nround 2 of 3, invalid\nsetup: 5055.70ms, n: 2, good: 2, bad: 0, run: 2500.25",
    );
    assertStringIncludes(
      text,
      "\nmedians over the 2 valid rounds of 3\n" +
        "milliseconds         min      p50      p90      p99    p99.9      max\n" +
        "bots' clock        20.25    20.25    30.25    30.25    30.25    30.25\n" +
        "server's clock     20.00    20.00    30.00    30.00    30.00    30.00\n",
    );
    assertStringIncludes(
      text,
      "\nload over all rounds, delays of the worst:\nbots' process 4711: CPU 31 % of a core\n" +
        "  loop lag p99 4.3 ms, max 3000.0 ms, read delay p99 1.3 ms, max 2.0 ms\n",
    );
    assertStringIncludes(text, "\nround 3: missing: 0,");
    assertEquals([run.valid, run.verdict], [false, "neither"]);
    assertStringIncludes(run.invalid_because[0]!, "round 2: bots' process 4711: the event loop");
    const fine = report([groupRound([10, 20]), groupRound([30, 40])]);
    assertEquals(
      linesOf(fine)[0],
      "verdict: under 1 s: the last of 2 bots had each of 2 messages after 40.3 ms or",
    );
  });

  it("shows three reasons of many, and all where it's asked to", () => {
    const busy = { ...calm, timerLagMs: { p99: 0, max: 3000 } };
    const rounds = Array.from({ length: 5 }, () => groupRound([10, 20], { load: busy }));
    const run = report(rounds);
    const reasons = (text: string) => text.match(/^ {2}round \d: /gm)?.length;
    assertEquals([reasons(reportText(run)), reasons(reportText(run, true))], [3, 5]);
    assertStringIncludes(reportText(run), "\n  and 2 reasons more; see --verbose\n");
  });

  it("is no wider than a terminal, whatever befell", () => {
    const slow = { p99: 123_456.7, max: 1_234_567.8 };
    const worst = { ...calm, cpuShare: 12.5, timerLagMs: slow, readDelayMs: slow };
    const codes = ["slow_consumer", "server_shutdown", "idle_timeout", "too_many_connections"];
    const tally = Object.fromEntries(codes.map((code) => [code, 12_345]));
    const bad = groupRound([10, 0, 123_456], { load: worst, refusals: tally, disconnected: 2 });
    const setup = { ...SETUP, failedAttempts: tally, refusals: tally, givenUp: 12_345 };
    for (const givenUp of [0, 1]) {
      const options = { sloMs: 86_400_000, timeoutMs: 3_600_000 };
      const run = report([bad, bad], options, [{ ...setup, givenUp }]);
      assertEquals(linesOf(run, true).filter((line) => line.length > 80), []);
    }
  });
});
