import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import type { BotsOutcome } from "../../../tools/compare/measuring/bots_process.ts";
import { judge, type RunOutcome } from "../../../tools/compare/run_once.ts";
import type { BotsReport, RoundReport } from "../../../bots/results/report.ts";
import { botsReport, round } from "./bots_reports.ts";

const MAXIMA = [999, 30, 10, 20];

function outcome(
  report: Partial<BotsReport> = {},
  change: (round: RoundReport, at: number) => Partial<RoundReport> = () => ({}),
): BotsOutcome {
  const rounds = MAXIMA.map((max, at) => round(at, max)).map((one, at) => ({
    ...one,
    ...change(one, at),
  }));
  return { report: botsReport(rounds, report), latencies: rounds.map((_, at) => [at]) };
}

function usage(cpuSeconds: number, residentBytes: number, peakBytes: number | null = null) {
  return { cpuSeconds, residentBytes, peakBytes };
}

function heldUp(...rounds: number[]): RunOutcome {
  const why = ["bots' process 7: the event loop stood still for 30.0 ms"];
  return judge(
    outcome({}, (_, at) => rounds.includes(at) ? { valid: false, invalid_because: why } : {}),
    null,
    10,
  );
}

describe("a run", () => {
  it("has the medians of its messages' figures, the first message aside", () => {
    const { valid, invalid_because, metrics, rounds } = judge(outcome(), null, 10);
    assertEquals([valid, invalid_because], [true, []]);
    assertEquals([metrics.max_ms, metrics.p99_ms, metrics.p50_ms], [20, 19.8, 10]);
    assertEquals(metrics.setup_ms, 12);
    assertEquals(rounds.map(({ warmup, counted }) => [warmup, counted]), [
      [true, false],
      [false, true],
      [false, true],
      [false, true],
    ]);
    assertEquals(rounds.map(({ latencies_us }) => latencies_us), [[0], [1], [2], [3]]);
  });

  it("knows what a server used that was started for it", () => {
    const { metrics } = judge(outcome(), {
      before: usage(0.5, 50e6, 50e6),
      subscribed: usage(0.7, 51e6, 52e6),
      after: usage(1.25, 40e6, 60e6),
    }, 10);
    assertEquals(metrics.cpu_s, 0.75);
    assertEquals(metrics.peak_memory_bytes, 60e6);
    assertEquals(metrics.memory_per_connection_bytes, 1e5);
  });

  it("takes the most memory that was seen where the system keeps no peak", () => {
    const { metrics } = judge(outcome(), {
      before: usage(0.5, 50e6),
      subscribed: usage(0.7, 70e6),
      after: usage(1.25, 60e6),
    }, 10);
    assertEquals(metrics.peak_memory_bytes, 70e6);
  });

  it("knows nothing of what a server used that wasn't started for it", () => {
    const { metrics } = judge(outcome(), null, 10);
    const { cpu_s, peak_memory_bytes, memory_per_connection_bytes } = metrics;
    assertEquals([cpu_s, peak_memory_bytes, memory_per_connection_bytes], [null, null, null]);
  });

  it("isn't counted when a bot missed, doubled or damaged a message, be it the first", () => {
    const { valid, invalid_because } = judge(
      outcome({ bad: 3 }, (_, at) => at === 0 ? { missing: 2, corrupt: 1 } : {}),
      null,
      10,
    );
    assertEquals(valid, false);
    assertEquals(invalid_because.length, 1);
    assertStringIncludes(invalid_because[0]!, "3 of 10 bots");
    assertStringIncludes(invalid_because[0]!, "missing: 2, duplicate: 0, corrupt: 1");
  });

  it("isn't counted when a bot never subscribed", () => {
    const setup = { ...botsReport([]).setup, given_up: 4 };
    assertEquals(judge(outcome({ bad: 4, setup }), null, 10).invalid_because, [
      "4 of 10 bots never subscribed",
    ]);
  });

  it("isn't counted when the machine didn't become quiet", () => {
    const setup = { ...botsReport([]).setup, settled: false };
    const { valid, invalid_because } = judge(outcome({ setup }), null, 10);
    assertEquals([valid, invalid_because.length], [false, 1]);
    assertStringIncludes(invalid_because[0]!, "quiet");
  });

  it("leaves out a message that the bots held up, and isn't counted with more than half", () => {
    const one = heldUp(1);
    assertEquals([one.valid, one.metrics.max_ms], [true, 15]);
    assertEquals(one.rounds.map(({ counted }) => counted), [false, false, true, true]);
    const two = heldUp(1, 2);
    assertEquals(two.valid, false);
    assertStringIncludes(two.invalid_because[0]!, "held up 2 of 3 messages (message 1: bots'");
    const warmup = heldUp(0);
    assertEquals([warmup.valid, warmup.metrics.max_ms], [true, 20]);
  });

  it("isn't counted when the server ended", () => {
    const before = usage(1, 1, 1);
    const { valid, invalid_because } = judge(
      outcome(),
      { before, subscribed: before, after: null },
      10,
    );
    assertEquals([valid, invalid_because], [false, ["the server ended during the run"]]);
  });

  it("isn't counted, and has no figures, when the bots gave no report", () => {
    const { valid, invalid_because, metrics, rounds } = judge({ failure: "fell over" }, null, 10);
    assertEquals([valid, invalid_because, rounds], [false, ["the bots fell over"], []]);
    assertEquals(metrics.max_ms, null);
  });
});
