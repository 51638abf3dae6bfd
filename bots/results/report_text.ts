/**
 * The report as text: the answer, one table, and the lines of 2009's bots in their shape.
 *
 * @module
 */

import { counted } from "../../cli/counted.ts";
import { outcomeOf } from "./outcome.ts";
import { wrapped } from "../../cli/plain_text.ts";
import type { BotsReport, QuantilesReport, RoundReport } from "./report.ts";
import { agentLines, clockMark, errorText, serversClockLines } from "./agents_text.ts";
import { countsText, detailLines } from "./report_details.ts";
import { tallied } from "../measures/tally.ts";

/** Lines that belong to the verdict stand indented under it. */
const INDENT = "  ";

/** The number of reasons shown without `--verbose`. */
const FEW_REASONS = 3;

/**
 * The whole report, without a line feed at its end.
 *
 * @param isVerbose Adds everything that the table and the blocks leave out.
 */
export function reportText(report: BotsReport, isVerbose = false): string {
  const { rounds } = report;
  const table = tableLines(report);
  return [
    ...verdictLines(report, isVerbose),
    ...(table.length === 0 ? [] : ["", ...table]),
    ...agentLines(report),
    "",
    summaryLine(report),
    ...(rounds.length === 1 ? histogramLines(rounds[0]!) : rounds.flatMap((round) => [
      "",
      `round ${round.round} of ${rounds.length}${round.valid ? "" : ", invalid"}`,
      summaryLine({ ...report, ...round }),
      ...histogramLines(round),
    ])),
    ...(isVerbose ? ["", ...detailLines(report)] : []),
  ].join("\n");
}

function verdictLines(report: BotsReport, isVerbose: boolean): string[] {
  return [
    ...wrapped(`verdict: ${verdict(report)}`, "", INDENT),
    ...reasonLines(report, isVerbose),
    ...clockMark(report),
    ...(report.bad === 0 ? [] : countLines(report)),
    ...(report.came_back === 0
      ? []
      : [`${INDENT}came back after they had lost their subscription: ${report.came_back}`]),
  ];
}

/** The verdict and its first reason, as the end of a sentence about one of several runs. */
export function verdictAndReason(report: BotsReport): string {
  const [why] = report.invalid_because;
  return verdict(report) + (why === undefined ? "" : `: ${why}`);
}

/** The outcome in words; the exit status says the same. */
function verdict(report: BotsReport): string {
  const { n, bad, slo } = report;
  switch (outcomeOf(report)) {
    case "invalid":
      return `INVALID: this run is no measure of the server` +
        (slo === null ? "" : `, nor of the slo of ${slo.limit_ms} ms`);
    case "failed":
      return bad > 0
        ? `FAILED: ${bad} of ${
          counted(n, "bot")
        } did not get every message once, intact and in time`
        : `FAILED: the slo of ${slo!.limit_ms} ms is missed: ${reached(report)}`;
    case "passed": {
      const held = slo === null ? "" : `, and the slo of ${slo.limit_ms} ms is held`;
      return `${TIMES[report.verdict]}${held}: ${reached(report)}`;
    }
  }
}

function reached({ n, rounds, clock_error }: BotsReport): string {
  const lastMs = rounds.reduce((most, round) => Math.max(most, round.end_to_end_ms?.max ?? 0), 0);
  const ms = clock_error === null
    ? `${lastMs.toFixed(1)} ms`
    : `${lastMs.toFixed(1)} ± ${errorText(clock_error)} ms`;
  const who = n === 1 ? "the one bot" : `the last of ${n} bots`;
  return rounds.length === 1
    ? `${who} had the message after ${ms}`
    : `${who} had each of ${rounds.length} messages after ${ms} or less`;
}

const TIMES: Readonly<Record<BotsReport["verdict"], string>> = {
  under_1_s: "under 1 s",
  under_2_s: "under 2 s",
  neither: "2 s or more",
};

function reasonLines({ invalid_because }: BotsReport, isVerbose: boolean): string[] {
  const shown = isVerbose ? invalid_because : invalid_because.slice(0, FEW_REASONS);
  const others = invalid_because.length - shown.length;
  return [
    ...shown.flatMap((why) => wrapped(why, INDENT)),
    ...(others === 0 ? [] : [`${INDENT}and ${counted(others, "reason")} more; see --verbose`]),
  ];
}

/** The counts of the bots that weren't good, over all rounds. */
function countLines({ rounds }: BotsReport): string[] {
  const sum = (pick: (round: RoundReport) => number) =>
    rounds.reduce((total, round) => total + pick(round), 0);
  return wrapped(
    countsText({
      missing: sum(({ missing }) => missing),
      duplicate: sum(({ duplicate }) => duplicate),
      corrupt: sum(({ corrupt }) => corrupt),
      foreign: sum(({ foreign }) => foreign),
      late: sum(({ late }) => late),
      disconnected: rounds.at(-1)!.disconnected,
      refusals: tallied(rounds.map(({ refusals }) => refusals)),
    }),
    INDENT,
  );
}

const QUANTILES = [
  ["min", "min"],
  ["p50", "p50"],
  ["p90", "p90"],
  ["p99", "p99"],
  ["p99_9", "p99.9"],
  ["max", "max"],
] as const;

const HEADINGS = `milliseconds   ${QUANTILES.map(([, name]) => name.padStart(9)).join("")}`;

/** The table of quantiles; empty if no bot was good. */
function tableLines({ rounds, medians, target, clock_error }: BotsReport): string[] {
  const { latency_ms, end_to_end_ms } = medians;
  if (latency_ms === null || end_to_end_ms === null) return [];
  const isServers = target.stamped_by === "server";
  return [
    ...(rounds.length === 1 ? [] : [`medians over ${countedRounds(rounds)}`]),
    HEADINGS,
    `bots' clock    ${cells(end_to_end_ms)}`,
    ...(isServers ? [`server's clock ${cells(latency_ms)}`] : []),
    "",
    ...(clock_error === null
      ? ["bots' clock: from the publish to the arrival, by one machine's clock"]
      : wrapped(
        `bots' clock: from the publish to the arrival, ± ${errorText(clock_error)} ms, since ` +
          `these are by the clocks of several machines`,
        "",
        INDENT,
      )),
    ...(isServers ? serversClockLines(clock_error) : []),
  ];
}

function cells(quantiles: QuantilesReport): string {
  return QUANTILES.map(([member]) => quantiles[member].toFixed(2).padStart(9)).join("");
}

function countedRounds(rounds: readonly RoundReport[]): string {
  const valid = rounds.filter((round) => round.valid).length;
  if (valid === rounds.length) return `all ${rounds.length} rounds`;
  if (valid === 0) return `all ${rounds.length} rounds, none of them valid`;
  return `the ${counted(valid, "valid round")} of ${rounds.length}`;
}

/** The first line of 2009's report. */
function summaryLine(
  { setup_ms, n, good, bad, run_ms }: Pick<
    BotsReport,
    "setup_ms" | "n" | "good" | "bad" | "run_ms"
  >,
): string {
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
