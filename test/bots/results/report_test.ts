import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import { buildReport } from "../../../bots/results/build_report.ts";
import type { RunRecord } from "../../../bots/run/run.ts";
import { Mark } from "../../../bots/fleet/group.ts";
import { calm, context, groupRound, PUBLISHED_AT_MS, report, SETUP } from "./sample_run.ts";

describe("the report", () => {
  it("has each process's CPU over all rounds, by their length", () => {
    const round = (wallMs: number, cpuShare: number) =>
      groupRound([10], { load: { ...calm, wallMs, cpuShare } });
    const [load] = report([round(300, 0.5), round(100, 0.9)]).load;
    assertEquals([load!.wall_ms, load!.cpu_share.toFixed(3)], [400, "0.600"]);
  });

  it("counts a bot as good that was good in every round", () => {
    const { good, bad, rounds } = report([
      groupRound([10, 20, 30]),
      groupRound([10, 0, 30]),
      groupRound([10, 20, 30], { marks: [[2, Mark.duplicate]] }),
    ]);
    assertEquals([good, bad], [1, 2]);
    assertEquals(rounds.map((round) => round.good), [3, 2, 2]);
  });

  it("gives the bounty's verdict on the worst round, from the publish", () => {
    const verdict = (...latencies: number[]) =>
      report(latencies.map((ms) => groupRound([1, ms]))).verdict;
    assertEquals(verdict(999.7), "under_1_s");
    assertEquals(verdict(999.8), "under_2_s");
    assertEquals(verdict(10, 1999.7, 20), "under_2_s");
    assertEquals(verdict(1999.8), "neither");
    assertEquals(verdict(10, 0), "neither");
    const busy = { ...calm, timerLagMs: { p99: 0, max: 500 } };
    assertEquals(report([groupRound([10], { load: busy })]).verdict, "neither", "it isn't shown");
  });

  it("holds the slo only where everyone was reached in time", () => {
    const slo = (latencies: number[]) => report([groupRound(latencies)], { sloMs: 100 }).slo;
    assertEquals(slo([99.75]), { limit_ms: 100, held: true });
    assertEquals(slo([99.76]), { limit_ms: 100, held: false });
    assertEquals(slo([10, 0]), { limit_ms: 100, held: false });
    assertEquals(report([groupRound([10])]).slo, null);
  });

  it("is invalid where two processes saw different timestamps", () => {
    const one = groupRound([10]);
    const record: RunRecord = {
      setups: [SETUP, { ...SETUP, beganAtMs: 999_000 }],
      clocks: null,
      refusal: null,
      settle: { settledMs: 1, isQuiet: false },
      rounds: [{
        publishedAtMs: PUBLISHED_AT_MS,
        groups: [one, { ...one, stampMicros: one.stampMicros! + 1 }],
      }],
      closedAtMs: PUBLISHED_AT_MS,
    };
    const pair = [{ pid: 1, bots: 1 }, { pid: 2, bots: 1 }];
    const run = buildReport(record, { ...context(2), processes: pair });
    assertStringIncludes(run.invalid_because[0]!, "different timestamps");
    assertEquals([run.good, run.rounds[0]!.load.length], [2, 2]);
    assertEquals(run.setup_ms.toFixed(1), "6055.7", "from the first to connect to the last");
  });

  it("is JSON, and has every member that its schema promises", () => {
    const run = report([groupRound([10, 20])], { sloMs: 1000 });
    assertEquals(JSON.parse(JSON.stringify(run)), run);
    assertEquals(run.schema, "hotwheels-bots/1");
    assertEquals(run.started_at, "2026-11-23T12:08:37.985Z");
    assertEquals(Object.keys(run), [
      ...["schema", "started_at", "target", "options", "n", "good", "bad", "setup_ms", "run_ms"],
      ...["came_back", "setup", "rounds", "medians", "valid", "invalid_because", "verdict", "slo"],
      ...["processes", "load", "agents", "clock_error", "environment"],
    ]);
    const [round] = run.rounds;
    assertEquals(Object.keys(round!), [
      ...["round", "good", "bad", "missing", "duplicate", "corrupt", "foreign", "late"],
      ...["disconnected", "refusals", "run_ms", "server_timestamp_us", "latency_ms"],
      ...["end_to_end_ms", "histogram", "valid", "invalid_because", "load", "agents"],
    ]);
    assertEquals(Object.keys(round!.latency_ms!), ["min", "p50", "p90", "p99", "p99_9", "max"]);
    assertEquals(run.target, {
      host: "127.0.0.1",
      port: 8081,
      addresses: ["127.0.0.1"],
      dialect: "janus",
      stamped_by: "server",
    });
    assertEquals(run.options, { rounds: 1, topic: "events", data_bytes: 4, timeout_ms: 5000 });
    assertEquals(run.load, round!.load);
    assertEquals(round!.load, [{
      pid: 4711,
      wall_ms: 1270,
      cpu_share: 0.314,
      loop_lag_ms: { p99: 4.25, max: 6.5 },
      read_delay_ms: { p99: 1.25, max: 2 },
    }]);
  });
});
