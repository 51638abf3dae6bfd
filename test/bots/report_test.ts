import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import { buildReport, type RunContext } from "../../bots/build_report.ts";
import type { LoopReading } from "../../bots/loop_meter.ts";
import type { BotsReport } from "../../bots/report.ts";
import { reportText } from "../../bots/report_text.ts";
import type { RunRecord } from "../../bots/run.ts";
import { Mark, type SquadRound } from "../../bots/squad.ts";
import { OPTIONS } from "./scripted_run.ts";

const calm: LoopReading = {
  wallMs: 1270,
  cpuShare: 0.314,
  timerLagMs: { p99: 4.25, max: 6.5 },
  readDelayMs: { p99: 1.25, max: 2 },
};

const setup = {
  greeted: 0,
  subscribed: 0,
  failedAttempts: {},
  givenUp: 0,
  refusals: {},
  beganAtMs: 1_000_000,
  endedAtMs: 1_005_055.7,
};

const PUBLISHED_AT_MS = 1_100_000;

/** A round in which bots got the message so many milliseconds after the server's timestamp. */
function squadRound(latencies: number[], other: Partial<SquadRound> = {}): SquadRound {
  return {
    stampMicros: (PUBLISHED_AT_MS + 0.25) * 1000,
    receivedAtMs: latencies.map((ms) => ms === 0 ? 0 : PUBLISHED_AT_MS + 0.25 + ms),
    marks: [],
    refusals: {},
    disconnected: 0,
    load: calm,
    ...other,
  };
}

function context(n: number, options: Partial<RunContext["options"]> = {}): RunContext {
  return {
    options: { ...OPTIONS, n, port: 8081, ...options },
    startedAt: new Date(1_795_435_717_985),
    addresses: ["127.0.0.1"],
    dialect: { name: "janus", stampedBy: "server" },
    processes: [{ pid: 4711, bots: n }],
    environment: {
      runtime: "bun",
      runtime_version: "1.4.5",
      hotwheels_version: "0.1.0",
      os: "Linux",
      os_release: null,
      architecture: "x64",
      cpu_model: null,
      cores: 2,
      descriptor_limit: 20_000,
      port_range: null,
      max_backlog: null,
      arguments: [],
    },
  };
}

function report(
  rounds: SquadRound[],
  options: Partial<RunContext["options"]> = {},
  setups: RunRecord["setups"] = [setup],
): BotsReport {
  const record: RunRecord = {
    setups,
    settle: { settledMs: 201.4, isQuiet: true },
    rounds: rounds.map((squad) => ({ publishedAtMs: PUBLISHED_AT_MS, squads: [squad] })),
    closedAtMs: PUBLISHED_AT_MS + 7524.29,
  };
  return buildReport(record, context(rounds[0]!.receivedAtMs.length, options));
}

/** As many bots in each half second as in the notes of 2009. */
const SAMPLE = [
  1.869,
  ...Array<number>(2124).fill(400),
  ...Array<number>(5010).fill(900),
  ...Array<number>(2864).fill(1100),
  1269.785,
];

describe("the report's text", () => {
  it("begins as the bots of 2009 did, to the blank", () => {
    const lines = reportText(report([squadRound(SAMPLE)])).split("\n");
    assertEquals(lines.slice(0, 6), [
      "setup: 5055.70ms, n: 10000, good: 10000, bad: 0, run: 7524.29ms",
      "    1.8690ms | min",
      "  500.0000ms | 2125   -  21.25%",
      " 1000.0000ms | 5010   -  50.10%",
      " 1500.0000ms | 2865   -  28.65%",
      " 1269.7850ms | max",
    ]);
  });

  it("then says the rest", () => {
    const rest = reportText(report([squadRound(SAMPLE)], { sloMs: 1000 })).split("\n").slice(6);
    assertEquals(rest, [
      "",
      "milliseconds         min      p50      p90      p99    p99.9      max",
      "server's clock      1.87   900.00  1100.00  1100.00  1100.00  1269.78",
      "bots' clock         2.12   900.25  1100.25  1100.25  1100.25  1270.03",
      "missing: 0, duplicate: 0, corrupt: 0, foreign: 0, late: 0",
      "bots' process 4711: CPU 31 % of a core, loop lag p99 4.3 ms, max 6.5 ms, " +
      "read delay p99 1.3 ms, max 2.0 ms",
      "",
      "server's clock: from the timestamp in the message to its arrival, as in 2009; true as far as the",
      "  server's clock and this machine's agree.",
      "bots' clock: from the publish to the arrival, both on this machine's clock; true wherever the",
      "  server is. Quantiles are by nearest rank over all samples.",
      "10000 bots in one process, connected to 127.0.0.1 port 8081; connect failures: 0, " +
      "given up: 0, refused: 0",
      "201 ms pause before the publish, until all was quiet",
      "valid: the bots kept up; the latencies are the server's",
      "slo of 1000 ms: NOT HELD",
      "verdict: the last of 10000 was reached in under 2 s (1270.0 ms)",
    ]);
  });

  it("keeps its columns with all bots in a row and a row without any", () => {
    const text = reportText(report([squadRound([30, 40, 12_000])], { timeoutMs: 60_000 }));
    assertStringIncludes(text, "\n  500.0000ms | 2      -  66.67%\n");
    assertStringIncludes(text, "\n 1000.0000ms | 0      -   0.00%\n");
    assertStringIncludes(text, "\n12000.0000ms | 1      -  33.33%\n12000.0000ms | max\n");
    assertStringIncludes(reportText(report([squadRound([5])])), "| 1      - 100.00%\n");
  });

  it("says what went wrong, in setting up and after", () => {
    const bad = squadRound([10, 20, 0, 0], {
      marks: [[1, Mark.duplicate], [3, Mark.damaged]],
      refusals: { slow_consumer: 1 },
      disconnected: 1,
    });
    const text = reportText(report([bad], {}, [{
      ...setup,
      failedAttempts: { timed_out: 3, connection_refused: 1 },
      givenUp: 1,
      refusals: { too_many_connections: 1 },
    }]));
    assertStringIncludes(text, "n: 4, good: 1, bad: 3,");
    assertStringIncludes(
      text,
      "missing: 1, duplicate: 1, corrupt: 1, foreign: 0, late: 0\ndisconnected: 1 (slow_consumer 1)",
    );
    assertStringIncludes(
      text,
      "connect failures: 4 (timed_out 3, connection_refused 1), given up: 1, " +
        "refused: 1 (too_many_connections 1)",
    );
    assertStringIncludes(text, "verdict: neither: 3 of 4 bots did not get everything");
  });

  it("has no latencies to show where nobody was good", () => {
    const lines = reportText(report([squadRound([0, 0])])).split("\n");
    assertEquals(lines.slice(1, 3), ["", "no bot received the message as it should"]);
  });

  it("marks a run invalid whose bots held it up, and says why", () => {
    const busy = { ...calm, readDelayMs: { p99: 300, max: 400 } };
    const text = reportText(report([squadRound([10, 1000], { load: busy })]));
    assertStringIncludes(
      text,
      "INVALID: bots' process 4711: bytes that had arrived waited 400.0 ms",
    );
    assertStringIncludes(text, "INVALID: the bots themselves held the messages up");
    assertStringIncludes(text, "verdict: the last of 2 was reached in under 2 s");
  });

  it("shows each round, and the medians over the valid ones", () => {
    const busy = { ...calm, timerLagMs: { p99: 0, max: 3000 } };
    const run = report([
      squadRound([10, 20]),
      squadRound([900, 2500], { load: busy }),
      squadRound([30, 40]),
    ]);
    const text = reportText(run);
    assertStringIncludes(
      text,
      "\nround 1 of 3\nsetup: 5055.70ms, n: 2, good: 2, bad: 0, run: 20.25ms",
    );
    assertStringIncludes(
      text,
      "\nround 2 of 3\nsetup: 5055.70ms, n: 2, good: 2, bad: 0, run: 2500.25",
    );
    assertStringIncludes(
      text,
      "\nmedians over the 2 valid rounds of 3\n" +
        "milliseconds         min      p50      p90      p99    p99.9      max\n" +
        "server's clock     20.00    20.00    30.00    30.00    30.00    30.00\n",
    );
    assertStringIncludes(
      text,
      "\nload over all rounds, delays of the worst\nbots' process 4711: CPU 31 % of a core, " +
        "loop lag p99 4.3 ms, max 3000.0 ms, read delay p99 1.3 ms, max 2.0 ms\n",
    );
    assertEquals([run.valid, run.verdict], [false, "neither"]);
    assertStringIncludes(run.invalid_because[0]!, "round 2: bots' process 4711: the event loop");
  });
});

describe("the report", () => {
  it("has each process's CPU over all rounds, by their length", () => {
    const round = (wallMs: number, cpuShare: number) =>
      squadRound([10], { load: { ...calm, wallMs, cpuShare } });
    const [load] = report([round(300, 0.5), round(100, 0.9)]).load;
    assertEquals([load!.wall_ms, load!.cpu_share.toFixed(3)], [400, "0.600"]);
  });

  it("counts a bot as good that was good in every round", () => {
    const { good, bad, rounds } = report([
      squadRound([10, 20, 30]),
      squadRound([10, 0, 30]),
      squadRound([10, 20, 30], { marks: [[2, Mark.duplicate]] }),
    ]);
    assertEquals([good, bad], [1, 2]);
    assertEquals(rounds.map((round) => round.good), [3, 2, 2]);
  });

  it("gives the bounty's verdict on the worst round, from the publish", () => {
    const verdict = (...latencies: number[]) =>
      report(latencies.map((ms) => squadRound([1, ms]))).verdict;
    assertEquals(verdict(999.7), "under_1_s");
    assertEquals(verdict(999.8), "under_2_s");
    assertEquals(verdict(10, 1999.7, 20), "under_2_s");
    assertEquals(verdict(1999.8), "neither");
    assertEquals(verdict(10, 0), "neither");
  });

  it("holds the slo only where everyone was reached in time", () => {
    const slo = (latencies: number[]) => report([squadRound(latencies)], { sloMs: 100 }).slo;
    assertEquals(slo([99.75]), { limit_ms: 100, held: true });
    assertEquals(slo([99.76]), { limit_ms: 100, held: false });
    assertEquals(slo([10, 0]), { limit_ms: 100, held: false });
    assertEquals(report([squadRound([10])]).slo, null);
  });

  it("is invalid where two processes saw different timestamps", () => {
    const one = squadRound([10]);
    const record: RunRecord = {
      setups: [setup, { ...setup, beganAtMs: 999_000 }],
      settle: { settledMs: 1, isQuiet: false },
      rounds: [{
        publishedAtMs: PUBLISHED_AT_MS,
        squads: [one, { ...one, stampMicros: one.stampMicros! + 1 }],
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
    const run = report([squadRound([10, 20])], { sloMs: 1000 });
    assertEquals(JSON.parse(JSON.stringify(run)), run);
    assertEquals(run.schema, "hotwheels-bots/1");
    assertEquals(run.started_at, "2026-11-23T12:08:37.985Z");
    assertEquals(Object.keys(run), [
      ...["schema", "started_at", "target", "options", "n", "good", "bad", "setup_ms", "run_ms"],
      ...["setup", "rounds", "medians", "valid", "invalid_because", "verdict", "slo"],
      ...["processes", "load", "environment"],
    ]);
    const [round] = run.rounds;
    assertEquals(Object.keys(round!), [
      ...["round", "good", "bad", "missing", "duplicate", "corrupt", "foreign", "late"],
      ...["disconnected", "refusals", "run_ms", "server_timestamp_us", "latency_ms"],
      ...["end_to_end_ms", "histogram", "valid", "invalid_because", "load"],
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
