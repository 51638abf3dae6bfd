/**
 * The report of hosts, as `--json` writes it.
 *
 * @module
 */

import { counted } from "../../cli/counted.ts";
import { type Outcome, outcomeOf } from "../../bots/results/outcome.ts";
import type { BotsReport, RoundReport } from "../../bots/results/report.ts";
import { verdictAndReason } from "../../bots/results/report_text.ts";
import { median } from "../../bots/measures/statistics.ts";
import type { RuntimeName } from "../../cli/program.ts";

/** The version of the format. Members may be added to it; anything else makes a new version. */
export const SCHEMA = "hotwheels-hosts/1";

/** The result of the command. All times are milliseconds with fractions. */
export interface HostsReport {
  schema: typeof SCHEMA;
  started_at: string;
  hotwheels_version: string;
  machines: number;
  /** The processes of each server. */
  workers: number;
  /** The bots of each machine. */
  bots_per_machine: number;
  /** The wires between the hosts. */
  wire: { delay_ms: number | null; bits_per_second: number | null };
  /** The cores that each host's processes ran on. */
  cores: Record<string, number[]>;
  runs: RunReport[];
}

/** One server's run, or that of a cluster whose machines have the same runtime. */
export interface RunReport {
  runtime: RuntimeName;
  outcome: Outcome;
  /** With several machines, how much later the last bot of another one had each message. */
  behind: BehindReport | null;
  bots: BotsReport;
}

/**
 * How much later the last bot of the other machines had a message than the last bot of the first one, on
 * which it was published; negative if it was earlier.
 */
export interface BehindReport {
  /** `--apart`. */
  limit_ms: number;
  /** True if the median is within the limit. */
  held: boolean;
  /**
   * The median and the maximum over the valid rounds (over all where none is); `null` if one of these has no
   * good bot on some machine.
   */
  median_ms: number | null;
  max_ms: number | null;
  /** The number of rounds that these are over. */
  rounds: number;
  /** The figures are wrong by so much at most, since the bots' clocks are compared, too. */
  error_ms: number;
  /** When the last bot of each machine had the message after the publish, round by round. */
  last_ms: (number | null)[][];
}

/** Judges a run of a server, or of a cluster. */
export function judge(
  runtime: RuntimeName,
  bots: BotsReport,
  { machines, apartMs }: { readonly machines: number; readonly apartMs: number },
): RunReport {
  const behind = machines === 1 ? null : behindOf(bots, apartMs);
  const outcome = outcomeOf(bots);
  const isApart = outcome === "passed" && behind?.held === false;
  return { runtime, outcome: isApart ? "failed" : outcome, behind, bots };
}

function behindOf({ rounds, clock_error }: BotsReport, limitMs: number): BehindReport {
  const lastsOf = ({ agents }: RoundReport) => (agents ?? []).map(({ last_ms }) => last_ms);
  const valid = rounds.filter((round) => round.valid);
  const behind = (valid.length > 0 ? valid : rounds).map((round) => behindMs(lastsOf(round)));
  const known = behind.filter((ms) => ms !== null);
  const isKnown = known.length === behind.length;
  const medianMs = isKnown ? median(known) : null;
  return {
    limit_ms: limitMs,
    held: medianMs !== null && medianMs <= limitMs,
    median_ms: medianMs,
    max_ms: isKnown ? Math.max(...known) : null,
    // Of two clocks each may be wrong by that much.
    error_ms: 2 * (clock_error?.error_ms ?? 0),
    rounds: behind.length,
    last_ms: rounds.map(lastsOf),
  };
}

function behindMs([first, ...others]: readonly (number | null)[]): number | null {
  const known = others.filter((ms) => ms !== null);
  if (first === null || first === undefined || known.length < others.length) return null;
  return Math.max(...known) - first;
}

/** The verdict of a run, as the end of a sentence that names its runtime. */
export function runText({ bots, behind, outcome }: RunReport): string {
  if (behind === null) return verdictAndReason(bots);
  const isApart = outcome === "failed" && outcomeOf(bots) === "passed";
  const says = isApart ? `FAILED: ${apartText(behind)}; ` : "";
  const apart = isApart ? "" : `; ${apartText(behind)}`;
  return says + verdictAndReason(bots) + apart;
}

function apartText({ median_ms, max_ms, rounds, error_ms, limit_ms, held }: BehindReport): string {
  if (median_ms === null) return "the machines can't be compared, since one had no good bot";
  const over = rounds === 1
    ? ""
    : ` in the median of ${counted(rounds, "message")}, ${max_ms!.toFixed(1)} ms at most`;
  return `the last of another machine had it ${
    median_ms.toFixed(1)
  } ms after the last of the first` +
    `${over} (± ${error_ms.toFixed(2)} ms), ${held ? "within" : "not within"} ${limit_ms} ms`;
}
