/**
 * Pictures of the times at which subscribers have the message.
 *
 * @module
 */

import { nearestRank } from "../../../bots/measures/statistics.ts";
import { pooledLatencies } from "../results/build_report.ts";
import { type Bounds, line, type Point, valueAxis } from "./chart_parts.ts";
import type { CompareReport, SizeReport } from "../results/report.ts";
import { armColor, MUTED, type Picture } from "./svg.ts";

const POOLED_POINTS = 200;
const RUN_POINTS = 50;
const BINS = 40;

/**
 * The share of subscribers that had the message after a time: for each run, and for all runs of an arm.
 */
export function cumulativeChart(report: CompareReport, { n }: SizeReport): Picture {
  const series = report.arms.flatMap(({ name }, at) => {
    const runs = report.runs.filter((run) => run.valid && run.n === n && run.arm === name);
    if (runs.length === 0) return [];
    const ofRuns = runs.map((run) =>
      line(at, cumulative(pooledLatencies([run]), RUN_POINTS), 1, 0.35)
    );
    return [...ofRuns, line(at, cumulative(pooledLatencies(runs), POOLED_POINTS), 2.5, 1)];
  });
  return overTime(series, { min: 0, max: 100 });
}

function cumulative(latencies: Float64Array, points: number): Point[] {
  const sorted = latencies.sort();
  const shares = Array.from({ length: points }, (_, at) => (at + 1) * 100 / points);
  return [[sorted[0]!, 0], ...shares.map((share): Point => [nearestRank(sorted, share), share])];
}

/** The number of subscribers that received the message at each time. */
export function histogramChart(report: CompareReport, { n }: SizeReport): Picture {
  const pooled = report.arms.map(({ name }) =>
    pooledLatencies(report.runs.filter((run) => run.n === n && run.arm === name)).sort()
  );
  const longest = Math.max(...pooled.map((sorted) => sorted.at(-1) ?? 0));
  const width = longest / BINS || 1;
  const series = pooled.flatMap((sorted, at) =>
    sorted.length === 0 ? [] : [{
      ...line(at, shares(sorted, width), 2, 1),
      step: "end",
      areaStyle: { color: armColor(at), opacity: 0.18 },
    }]
  );
  return overTime(series, { min: 0 });
}

/** The percentage of samples in each bin, at the bin's left end. */
function shares(sorted: Float64Array, width: number): Point[] {
  const counts = new Array<number>(BINS + 1).fill(0);
  for (const sample of sorted) counts[Math.min(Math.floor(sample / width), BINS - 1)]!++;
  return counts.map((count, at): Point => [at * width, count * 100 / sorted.length]);
}

/** A chart of the percentage of subscribers over the time since the publish. */
function overTime(series: readonly object[], percent: Bounds): Picture {
  return {
    height: 320,
    option: {
      grid: { left: 48, right: 18, top: 16, bottom: 44 },
      xAxis: valueAxis("milliseconds from the publish", { min: 0 }),
      yAxis: {
        ...valueAxis("", percent),
        axisLabel: { color: MUTED, formatter: (value: number) => `${value} %` },
      },
      series: [...series],
    },
  };
}
