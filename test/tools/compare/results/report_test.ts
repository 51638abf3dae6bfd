import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import { reportHtml } from "../../../../tools/compare/pages/html.ts";
import { reportMarkdown } from "../../../../tools/compare/pages/markdown.ts";
import { METRICS } from "../../../../tools/compare/results/metrics.ts";
import type { CompareReport } from "../../../../tools/compare/results/report.ts";
import { judgeAgain } from "../../../../tools/compare/results/remake_report.ts";
import { unpackLatencies } from "../../../../tools/compare/results/samples.ts";
import { reportText as brokenText, runLine } from "../../../../tools/compare/text.ts";
import { around, ENVIRONMENT, runningArm, sampleReport, sampleRun } from "../sample_report.ts";

/** The text on the terminal, as it would be if that were wide enough. */
function reportText(report: CompareReport): string {
  return brokenText(report).replace(/\n {2}(?=\S)/g, " ");
}

const FASTER = sampleReport({ 1000: { Deno: around(100), Bun: around(80) } });

/** Ten runs that vary by a third around a value. */
function wild(value: number): number[] {
  return [0.7, 1.3, 0.8, 1.25, 1, 1.35, 0.68, 1, 1.2, 0.85].map((part) => part * value);
}

function verdicts({ sizes }: CompareReport): Record<string, string> {
  return Object.fromEntries(
    sizes.at(-1)!.comparisons.map(({ metric, verdict }) => [metric, verdict]),
  );
}

describe("a comparison's conclusion", () => {
  it("says who is faster, with the table's own ratio", () => {
    assertEquals(FASTER.conclusions, [
      "Bun is faster: it reaches the last of 1,000 subscribers in 0.80 times Deno's time, " +
      "80.0 ms against 100 ms; the ratio's 95 % interval is 0.78 to 0.82.",
    ]);
  });

  it("says who is slower", () => {
    const { conclusions } = sampleReport({ 1000: { Deno: around(100), Bun: around(125) } });
    assertEquals(conclusions, [
      "Bun is slower: it reaches the last of 1,000 subscribers in 1.25 times Deno's time, " +
      "125 ms against 100 ms; the ratio's 95 % interval is 1.22 to 1.28.",
    ]);
  });

  it("says that there is no difference only where it knows", () => {
    const { conclusions } = sampleReport({ 1000: { Deno: around(100), Bun: around(101) } });
    assertMatch(conclusions[0]!, /^No difference: .* in 1\.01 times .* lies within 5 % of 1\.$/);
  });

  it("says which condition a verdict lacks, and so do the figures below it", () => {
    const undecided: [number[], RegExp][] = [
      [
        around(104),
        /; the ratio's intervals are 1\.01 to 1\.07 .*: the 95 % interval lies partly /,
      ],
      [wild(101), /; the ratio's intervals are 0\.78 to 1\.27 .*: the 95 % interval holds 1 and /],
      [
        [50, 52, 55, 60, 63, 66, 70, 74, 105, 106],
        / 0\.\d\d to 0\.\d\d \(95 %\) and 0\.\d\d to 1\.\d\d \(99\.9 %\): the 95 % interval lies wholly beyond 5 %, but the 99\.9 % interval holds 1, and a difference takes both\./,
      ],
    ];
    for (const [values, reason] of undecided) {
      const report = sampleReport({ 1000: { Deno: around(100), Bun: values } });
      assertMatch(
        report.conclusions[0]!,
        /^Undecided: Bun reached .* in [01]\.\d\d times Deno's time, /,
      );
      assertMatch(report.conclusions[0]!, reason);
      const [last] = report.sizes[0]!.comparisons;
      assertEquals(last!.verdict, "inconclusive");
      assertStringIncludes(report.conclusions[0]!, `: ${last!.because}.`);
      const remark = `Bun: no verdict on last subscriber, 99th percentile, `;
      assertStringIncludes(reportText(report), remark);
      assertStringIncludes(reportText(report), `: ${last!.because}\n`);
      assertStringIncludes(reportMarkdown(report), `: ${last!.because}\n`);
    }
  });

  it("says what is decided where the last subscriber isn't", () => {
    const runs = [["Deno", around(100)], ["Bun", wild(101)]] as const;
    const extra = runs.flatMap(([arm, values]) =>
      values.map((max, at) => {
        const run = sampleRun({ run: at + 1, arm, n: 1000, max });
        const isBun = arm === "Bun";
        const metrics = {
          ...run.metrics,
          cpu_s: (isBun ? 1.5 : 3) + at / 100,
          peak_memory_bytes: 60e6 + at,
          memory_per_connection_bytes: (isBun ? 9e3 : 3e3) + at,
        };
        return { ...run, metrics };
      })
    );
    const [conclusion] = sampleReport({ 1000: { Deno: [], Bun: [] } }, { extra }).conclusions;
    assertMatch(
      conclusion!,
      new RegExp(
        "^Undecided: .*\\. Decided against Deno: server CPU less \\(0\\.51 ×, 1\\.55 s against " +
          "3\\.05 s\\), no difference in peak memory \\(1\\.00 ×, .*\\), memory a connection more " +
          "\\(3\\.00 ×, .* kB against .* kB\\)\\.$",
      ),
    );
    assertEquals(FASTER.conclusions[0]!.includes("Decided"), false);
  });

  it("says that too few runs say nothing, whose, and how many it takes", () => {
    const few = sampleReport({ 1000: { Deno: around(100), Bun: around(50).slice(0, 5) } });
    assertStringIncludes(
      few.conclusions[0]!,
      "in 0.50 times Deno's time, 50.0 ms against 100 ms: a verdict takes 6 valid runs of each, " +
        "and there are 5 of Bun and 10 of Deno.",
    );
    const [comparison] = few.sizes[0]!.comparisons;
    assertEquals([comparison!.verdict, comparison!.interval], ["inconclusive", null]);
    assertEquals(comparison!.ratio, 0.5);
    for (const [count, words] of [[3, "there are 3 of each"], [1, "there is 1 of each"]] as const) {
      const [deno, bun] = [100, 50].map((value) => around(value).slice(0, count));
      const report = sampleReport({ 1000: { Deno: deno!, Bun: bun! } });
      assertStringIncludes(report.conclusions[0]!, words);
    }
    const none = sampleReport({ 1000: { Deno: around(100), Bun: [] } });
    assertStringIncludes(none.conclusions[0]!, "sooner: there is no valid run of Bun.");
    assertEquals(none.sizes[0]!.comparisons[0]!.ratio, null);
    const neither = sampleReport({ 1000: { Deno: [], Bun: [] } });
    assertStringIncludes(neither.conclusions[0]!, "there is no valid run of Deno or Bun.");
  });

  it("has the ratio of the table, of the JSON and of the pictures, whichever is faster", () => {
    for (const value of [50, 104, 300]) {
      const report = sampleReport({ 1000: { Deno: around(100), Bun: around(value) } });
      const { ratio } = report.sizes[0]!.comparisons[0]!;
      assertEquals(Math.abs(ratio! - value / 100) < 1e-9, true);
      const said = (value / 100).toFixed(2);
      assertStringIncludes(report.conclusions[0]!, ` in ${said} times Deno's time, `);
      for (const text of [reportText(report), reportMarkdown(report), reportHtml(report)]) {
        assertStringIncludes(text, `${said} ×`);
        assertMatch(text, /below 1 is better/);
        assertEquals(/times as (fast|long)/.test(text), false);
      }
    }
  });

  it("is for the most subscribers, and there is one for each number", () => {
    const { conclusions, sizes } = sampleReport({
      1000: { Deno: around(100), Bun: around(80) },
      2000: { Deno: around(200), Bun: around(300) },
    });
    assertEquals(conclusions, sizes[1]!.conclusions);
    assertStringIncludes(conclusions[0]!, "Bun is slower: ");
    assertStringIncludes(sizes[0]!.conclusions[0]!, "Bun is faster: ");
  });

  it("holds each server against the first", () => {
    const arms = ["a", "b", "c"].map((name) => runningArm(name));
    const report = sampleReport({ 9: { a: around(10), b: around(20), c: around(5) } }, { arms });
    assertMatch(report.conclusions[0]!, /^b is slower: .* in 2\.00 times a's time, /);
    assertMatch(report.conclusions[1]!, /^c is faster: .* in 0\.50 times a's time, /);
    assertEquals(report.sizes[0]!.comparisons.every(({ baseline }) => baseline === "a"), true);
  });
});

describe("a comparison's report", () => {
  it("has a verdict on each metric, in the words that fit it", () => {
    assertEquals(verdicts(FASTER), {
      max_ms: "faster",
      p99_ms: "faster",
      p50_ms: "faster",
      setup_ms: "faster",
      cpu_s: "less",
      peak_memory_bytes: "no difference",
      memory_per_connection_bytes: "no difference",
    });
    const [last] = FASTER.sizes[0]!.comparisons;
    assertEquals([last!.arm, last!.baseline, last!.ratio], ["Bun", "Deno", 0.8]);
    const { low, high } = last!.interval!;
    const wide = last!.wide_interval!;
    assertEquals(wide.low < low && low < 0.8 && 0.8 < high && high < wide.high, true);
  });

  it("counts only valid runs, and says how many weren't", () => {
    const extra = [
      sampleRun({
        ...{ run: 21, arm: "Bun", n: 1000, max: 9999 },
        ...{ valid: false, invalid_because: ["3 of 1000 bots did not"] },
      }),
    ];
    const report = sampleReport({ 1000: { Deno: around(100), Bun: around(80) } }, { extra });
    const [, bun] = report.sizes[0]!.arms;
    assertEquals([bun!.valid_runs, bun!.invalid_runs], [10, 1]);
    assertEquals(report.sizes[0]!.comparisons, FASTER.sizes[0]!.comparisons);
    assertEquals(bun!.latency_ms, FASTER.sizes[0]!.arms[1]!.latency_ms);
    assertEquals(report.runs.length, 21);
    const text = reportText(report);
    assertStringIncludes(text, "\nBun: 10 valid runs of 2 messages, 1 invalid run\n");
    assertStringIncludes(text, "\nrun 21, Bun, isn't counted: 3 of 1000 bots did not\n");
  });

  it("leaves messages out that the bots held up, and says how many", () => {
    const run = sampleRun({ run: 1, arm: "Deno", n: 1000, max: 100 });
    const rounds = run.rounds.map((round, at) => ({ ...round, counted: at === 1 }));
    const report = sampleReport({ 1000: { Deno: [], Bun: around(80) } }, {
      extra: [{ ...run, rounds }],
    });
    assertEquals(report.sizes[0]!.arms[0]!.held_up_messages, 1);
    assertStringIncludes(
      reportText(report),
      "none invalid; 1 message not counted, because the bots held it up",
    );
  });

  it("pools the latencies of all counted messages, the warm-up aside", () => {
    const run = sampleRun({ run: 1, arm: "Deno", n: 1000, max: 100 });
    const [warmup, ...others] = run.rounds;
    const late = { ...warmup!, latencies_us: [9_000_000] };
    const report = sampleReport({ 1000: { Deno: [], Bun: [] } }, {
      extra: [{ ...run, rounds: [late, ...others] }],
    });
    const { latency_ms } = report.sizes[0]!.arms[0]!;
    assertEquals([latency_ms!.min, latency_ms!.p50, latency_ms!.max], [1, 50, 100]);
  });

  it("holds every latency, so that it can be made again from its own runs", () => {
    const copy = JSON.parse(JSON.stringify(FASTER)) as CompareReport;
    assertEquals(unpackLatencies(copy.runs[0]!.rounds[0]!.latencies_us).length, 100);
    assertEquals(judgeAgain(copy), FASTER);
  });

  it("leaves out what no server has, and says why", () => {
    const arms = ["a", "b"].map((name) => runningArm(name));
    const report = sampleReport({ 1000: { a: around(100), b: around(80) } }, { arms });
    const text = reportText(report);
    assertEquals(text.includes("peak memory"), false);
    assertStringIncludes(
      text,
      "CPU and memory are measured for servers that the comparison starts",
    );
    assertEquals(text.includes("no verdict"), false);
  });

  it("knows no ratio of what was too small to be measured", () => {
    const runs = FASTER.runs.map((run) => ({ ...run, metrics: { ...run.metrics, cpu_s: 0 } }));
    const report = sampleReport({ 1000: { Deno: [], Bun: [] } }, { extra: runs });
    const cpu = report.sizes[0]!.comparisons.find(({ metric }) => metric === "cpu_s")!;
    assertEquals([cpu.ratio, cpu.verdict], [null, "inconclusive"]);
    assertStringIncludes(
      reportText(report),
      "Bun: no verdict on server CPU: it was too small to be measured",
    );
  });

  it("names the version of its format, and the environment", () => {
    assertEquals(FASTER.schema, "hotwheels-compare/1");
    assertEquals(FASTER.environment, ENVIRONMENT);
    assertEquals(Object.keys(FASTER.sizes[0]!.arms[0]!.metrics), METRICS.map(({ name }) => name));
  });
});

it("the text on the terminal has the conclusion first, and a row for each metric and server", () => {
  const lines = reportText(FASTER).split("\n");
  assertEquals(lines[0], FASTER.conclusions[0]);
  assertEquals(lines.slice(2, 6), [
    "1,000 subscribers",
    "                         server  median   95 % interval  against Deno  95 % interval  verdict",
    "last subscriber, ms      Deno       100     98.0 to 102",
    "                         Bun       80.0    78.4 to 81.6        0.80 ×   0.78 to 0.82  faster",
  ]);
  assertEquals(lines.slice(-3), [
    "Deno: this checkout's server on deno 2.9.6",
    "Bun: this checkout's server on bun 1.4.5",
    "bots on bun 1.4.5; a <fast> CPU, 2 threads, Linux 6.1.0; seed 7",
  ]);
});

it("the text's sentences break where a terminal ends", () => {
  const report = sampleReport({ 1000: { Deno: around(100), Bun: wild(101) } });
  const lines = brokenText(report).split("\n");
  const prose = lines.filter((line) => !/^[\w ]{20,}, (?:ms|s|MB|kB) |^ {20}|^ +server/.test(line));
  assertEquals(prose.filter((line) => line.length > 80), []);
  assertEquals(lines.length > prose.length, true);
});

it("a run under way is a line, with its result or why it isn't counted", () => {
  const run = sampleRun({ run: 3, arm: "Bun", n: 5000, max: 80.125 });
  assertEquals(runLine(run, 20), "run 3 of 20: Bun, 5,000: last after 80.1 ms");
  assertMatch(runLine({ ...run, run: 21 }, 20), /^run 21, one more: Bun, /);
  const invalid = { ...run, valid: false, invalid_because: ["one thing", "another"] };
  assertEquals(runLine(invalid, 20), "run 3 of 20: Bun, 5,000: not counted: one thing; another");
});
