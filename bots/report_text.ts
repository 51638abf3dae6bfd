/**
 * The report for people. What the bots of 2009 printed comes first, in the same shape.
 *
 * @module
 */

import { counted } from "../runtime/counted.ts";
import type { Tally } from "./enlistment.ts";
import type { BotsReport, LoadReport, QuantilesReport, RoundReport } from "./report.ts";

/** The whole report, without a line feed at its end. */
export function reportText(report: BotsReport): string {
  const { rounds } = report;
  const blocks = rounds.length === 1
    ? [summaryLine(report), ...histogramLines(rounds[0]!), "", ...roundLines(rounds[0]!, report)]
    : [
      summaryLine(report),
      ...rounds.flatMap((round) => [
        "",
        `round ${round.round} of ${rounds.length}`,
        summaryLine({ ...report, ...round }),
        ...histogramLines(round),
        ...roundLines(round, report),
      ]),
      "",
      ...medianLines(report),
    ];
  return [...blocks, "", ...setupLines(report), ...verdictLines(report)].join("\n");
}

interface Summary {
  readonly n: number;
  readonly good: number;
  readonly bad: number;
  readonly setup_ms: number;
  readonly run_ms: number;
}

function summaryLine({ setup_ms, n, good, bad, run_ms }: Summary): string {
  return `setup: ${setup_ms.toFixed(2)}ms, n: ${n}, good: ${good}, bad: ${bad}, ` +
    `run: ${run_ms.toFixed(2)}ms`;
}

function histogramLines({ latency_ms, histogram, good }: RoundReport): string[] {
  if (latency_ms === null) return [];
  return [
    `${row(latency_ms.min)} | min`,
    ...histogram.map(({ up_to_ms, count }) =>
      `${row(up_to_ms)} | ${String(count).padEnd(6)} - ${
        (count * 100 / good).toFixed(2).padStart(6)
      }%`
    ),
    `${row(latency_ms.max)} | max`,
  ];
}

function row(ms: number): string {
  return `${ms.toFixed(4).padStart(10)}ms`;
}

const QUANTILES = [
  ["min", "min"],
  ["p50", "p50"],
  ["p90", "p90"],
  ["p99", "p99"],
  ["p99_9", "p99.9"],
  ["max", "max"],
] as const;

const HEADINGS = QUANTILES.map(([, name]) => name.padStart(9)).join("");

function quantileLines(
  latency: QuantilesReport | null,
  endToEnd: QuantilesReport | null,
  { stamped_by }: BotsReport["target"],
): string[] {
  if (latency === null || endToEnd === null) return ["no bot received the message as it should"];
  return [
    `milliseconds   ${HEADINGS}`,
    ...(stamped_by === "server" ? [`server's clock ${cells(latency)}`] : []),
    `bots' clock    ${cells(endToEnd)}`,
  ];
}

function cells(quantiles: QuantilesReport): string {
  return QUANTILES.map(([member]) => quantiles[member].toFixed(2).padStart(9)).join("");
}

function roundLines(round: RoundReport, { target }: BotsReport): string[] {
  const lines = quantileLines(round.latency_ms, round.end_to_end_ms, target);
  lines.push(
    `missing: ${round.missing}, duplicate: ${round.duplicate}, corrupt: ${round.corrupt}, ` +
      `foreign: ${round.foreign}, late: ${round.late}`,
  );
  if (round.disconnected > 0) {
    lines.push(`disconnected: ${round.disconnected}${tallyText(round.refusals)}`);
  }
  lines.push(...round.load.map(loadLine));
  if (!round.valid) lines.push(...round.invalid_because.map((why) => `INVALID: ${why}`));
  return lines;
}

function loadLine({ pid, cpu_share, loop_lag_ms, read_delay_ms }: LoadReport): string {
  const read = read_delay_ms === null
    ? "read delay unknown"
    : `read delay p99 ${delay(read_delay_ms.p99)}, max ${delay(read_delay_ms.max)}`;
  return `bots' process ${pid}: CPU ${(cpu_share * 100).toFixed(0)} % of a core, ` +
    `loop lag p99 ${delay(loop_lag_ms.p99)}, max ${delay(loop_lag_ms.max)}, ${read}`;
}

function delay(ms: number): string {
  return `${ms.toFixed(1)} ms`;
}

function medianLines({ rounds, medians, load, target }: BotsReport): string[] {
  const valid = rounds.filter((round) => round.valid).length;
  const which = valid === rounds.length
    ? `all ${rounds.length} rounds`
    : valid === 0
    ? `all ${rounds.length} rounds, none of them valid`
    : `the ${valid} valid rounds of ${rounds.length}`;
  return [
    `medians over ${which}`,
    ...quantileLines(medians.latency_ms, medians.end_to_end_ms, target),
    "load over all rounds, delays of the worst",
    ...load.map(loadLine),
  ];
}

function setupLines({ setup, n, target, processes }: BotsReport): string[] {
  const failed = Object.values(setup.failed_attempts).reduce((sum, count) => sum + count, 0);
  const to = target.addresses.length === 1
    ? target.addresses[0]
    : `${target.addresses[0]} to ${target.addresses.at(-1)}`;
  const serversClock = [
    "server's clock: from the timestamp in the message to its arrival, as in 2009; true as far as the",
    "  server's clock and this machine's agree.",
  ];
  return [
    ...(target.stamped_by === "server" ? serversClock : []),
    "bots' clock: from the publish to the arrival, both on this machine's clock; true wherever the",
    "  server is. Quantiles are by nearest rank over all samples.",
    `${counted(n, "bot")} in ${
      processes.length === 1 ? "one process" : `${processes.length} processes`
    }, ` +
    `connected to ${to} port ${target.port}; connect failures: ${failed}` +
    `${tallyText(setup.failed_attempts)}, given up: ${setup.given_up}, refused: ` +
    `${Object.values(setup.refusals).reduce((sum, count) => sum + count, 0)}` +
    tallyText(setup.refusals),
    `${setup.settle_ms.toFixed(0)} ms pause before the publish` +
    (setup.settled ? ", until all was quiet" : "; it didn't become quiet"),
  ];
}

function tallyText(tally: Tally): string {
  const entries = Object.entries(tally);
  if (entries.length === 0) return "";
  return ` (${entries.map(([name, count]) => `${name} ${count}`).join(", ")})`;
}

const VERDICTS = {
  under_1_s: "in under 1 s",
  under_2_s: "in under 2 s",
} as const;

function verdictLines(report: BotsReport): string[] {
  const { n, good, rounds, verdict, valid, slo } = report;
  const lastMs = Math.max(...rounds.map(({ end_to_end_ms }) => end_to_end_ms?.max ?? 0));
  const last = lastMs.toFixed(1);
  const lines = [
    valid
      ? "valid: the bots kept up; the latencies are the server's"
      : "INVALID: the bots themselves held the messages up; the server's latencies are shorter",
  ];
  if (slo !== null) lines.push(`slo of ${slo.limit_ms} ms: ${slo.held ? "held" : "NOT HELD"}`);
  lines.push(
    good < n
      ? `verdict: neither: ${n - good} of ${
        counted(n, "bot")
      } did not get everything as they should`
      : verdict === "neither"
      ? `verdict: neither: the last of ${n} was reached after ${last} ms, which is 2 s or more`
      : `verdict: the last of ${n} was reached ${VERDICTS[verdict]} (${last} ms)`,
  );
  return lines;
}
