/**
 * The lines that `--verbose` adds to a report's text.
 *
 * @module
 */

import { counted } from "../../cli/counted.ts";
import { wrapped } from "../../cli/plain_text.ts";
import { tallyText } from "../measures/tally.ts";
import type { BotsReport, LoadReport, RoundReport } from "./report.ts";

/** The counts of bad bots by kind. */
export type Counts = Pick<
  RoundReport,
  "missing" | "duplicate" | "corrupt" | "foreign" | "late" | "disconnected" | "refusals"
>;

/** The lines about setting up, and each round's counts and load. */
export function detailLines(report: BotsReport): string[] {
  const { rounds, load } = report;
  return [
    ...setupLines(report),
    ...rounds.flatMap((round) => [
      ...wrapped(
        (rounds.length === 1 ? "" : `round ${round.round}: `) + countsText(round),
        "",
        "  ",
      ),
      ...round.load.flatMap(loadLines),
    ]),
    ...(rounds.length === 1
      ? []
      : ["load over all rounds, delays of the worst:", ...load.flatMap(loadLines)]),
    "quantiles are by nearest rank over all samples",
  ];
}

/** The counts as text, such as `missing: 1, duplicate: 0, ...`. */
export function countsText(counts: Counts): string {
  const { missing, duplicate, corrupt, foreign, late, disconnected, refusals } = counts;
  return `missing: ${missing}, duplicate: ${duplicate}, corrupt: ${corrupt}, ` +
    `foreign: ${foreign}, late: ${late}, disconnected: ${disconnected}${inBrackets(refusals)}`;
}

function setupLines({ setup, n, target, processes }: BotsReport): string[] {
  const { addresses, port } = target;
  const to = addresses.length === 1 ? addresses[0] : `${addresses[0]} to ${addresses.at(-1)}`;
  const { failed_attempts, refusals } = setup;
  const inProcesses = processes.length === 1 ? "one process" : `${processes.length} processes`;
  return [
    `${counted(n, "bot")} in ${inProcesses}, connected to ` +
    `${to} port ${port}`,
    `failed attempts to connect: ${sum(failed_attempts)}${inBrackets(failed_attempts)}, ` +
    `given up: ${setup.given_up}, refused: ${sum(refusals)}${inBrackets(refusals)}`,
    `${setup.settle_ms.toFixed(0)} ms pause before the publish` +
    (setup.settled ? ", until all was quiet" : "; it didn't become quiet"),
  ].flatMap((line) => wrapped(line, "", "  "));
}

function loadLines({ pid, agent, cpu_share, loop_lag_ms, read_delay_ms }: LoadReport): string[] {
  const read = read_delay_ms === null
    ? "read delay unknown"
    : `read delay p99 ${delay(read_delay_ms.p99)}, max ${delay(read_delay_ms.max)}`;
  return [
    `bots' process ${pid}${agent === undefined ? "" : ` at ${agent}`}: CPU ${
      (cpu_share * 100).toFixed(0)
    } % of a core`,
    ...wrapped(
      `loop lag p99 ${delay(loop_lag_ms.p99)}, max ${delay(loop_lag_ms.max)}, ${read}`,
      "  ",
    ),
  ];
}

function delay(ms: number): string {
  return `${ms.toFixed(1)} ms`;
}

function sum(tally: Readonly<Record<string, number>>): number {
  return Object.values(tally).reduce((total, count) => total + count, 0);
}

function inBrackets(tally: Readonly<Record<string, number>>): string {
  const text = tallyText(tally);
  return text === "" ? "" : ` (${text})`;
}
