/**
 * What was measured, as a table and as JSON.
 *
 * @module
 */

import { estimateMedian, estimateRatio } from "../../../tools/compare/results/bootstrap.ts";
import { Random } from "../../../tools/harness/random.ts";
import { median } from "../../../bots/measures/statistics.ts";
import { type Contestant, isRival } from "./contestant.ts";
import { describeWorkload, type Workload } from "./workload.ts";

/** The results of one server with one workload. */
export interface Result {
  readonly workload: Workload;
  readonly contestant: Contestant;
  /** For each fresh server the median of its rounds, in milliseconds. */
  readonly passesMs: number[];
  /** The failure, in words that follow the server's name. */
  readonly failures: string[];
}

const SEED = 1;

/** A Markdown table: rivals in milliseconds, ours over the better of them. */
export function tableOf(results: readonly Result[]): string {
  const workloads = [...new Set(results.map(({ workload }) => workload))];
  const contestants = [...new Set(results.map(({ contestant }) => contestant))];
  const inOrder = [...contestants.filter(isRival), ...contestants.filter((one) => !isRival(one))];
  const rows = workloads.map((workload) => {
    const own = results.filter((result) => result.workload === workload);
    const rival = bestRival(own);
    const cells = inOrder.map((contestant) =>
      cellOf(own.find((result) => result.contestant === contestant), rival)
    );
    return [describeWorkload(workload), ...cells];
  });
  const head = ["workload", ...inOrder.map(({ name }) => name)];
  const widths = head.map((title, at) =>
    Math.max(title.length, ...rows.map((cells) => cells[at]?.length ?? 0))
  );
  const line = (cells: readonly string[]) =>
    `| ${
      cells.map((cell, at) =>
        at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)
      ).join(" | ")
    } |`;
  const rule = widths.map((width, at) =>
    at === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`
  );
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

/** The failures, one line each. */
export function failureLines(results: readonly Result[]): string[] {
  return results.flatMap(({ workload, contestant, failures }) =>
    [...new Set(failures)].map((why) => `${workload.name}: ${contestant.name} ${why}`)
  );
}

/** The same for programs. */
export function jsonOf(results: readonly Result[]): unknown[] {
  return results.map((result) => {
    const { workload, contestant, passesMs, failures } = result;
    const rival = bestRival(results.filter((other) => other.workload === workload));
    return {
      workload: workload.name,
      server: contestant.name,
      passes_ms: passesMs.map((ms) => Number(ms.toFixed(3))),
      median_ms: passesMs.length === 0 ? null : estimateMedian(passesMs, new Random(SEED)),
      over_better_rival: isRival(contestant) ? null : ratioOf(result, rival),
      failures,
    };
  });
}

function bestRival(results: readonly Result[]): Result | undefined {
  return results.filter(({ contestant, passesMs }) => isRival(contestant) && passesMs.length > 0)
    .toSorted((a, b) => median(a.passesMs) - median(b.passesMs))[0];
}

function ratioOf({ passesMs }: Result, rival: Result | undefined) {
  if (rival === undefined || passesMs.length === 0) return null;
  return estimateRatio(passesMs, rival.passesMs, new Random(SEED));
}

function cellOf(result: Result | undefined, rival: Result | undefined): string {
  if (result === undefined || result.passesMs.length === 0) return "-";
  if (!isRival(result.contestant)) {
    const ratio = ratioOf(result, rival);
    if (ratio !== null) {
      const { low, high } = ratio.interval;
      return `${short(ratio.value)} (${short(low)} to ${short(high)})`;
    }
  }
  const { value, interval } = estimateMedian(result.passesMs, new Random(SEED));
  return `${short(value)} ms (${short(interval.low)} to ${short(interval.high)})`;
}

function short(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
