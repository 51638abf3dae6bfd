/**
 * Pictures of the metrics in which runs are compared.
 *
 * @module
 */

import { valuesOf } from "../results/build_report.ts";
import {
  type Bounds,
  intervals,
  line,
  NARROW,
  type Point,
  rowAxis,
  type RowName,
  rowNamesWidth,
  valueAxis,
} from "./chart_parts.ts";
import { number } from "../results/format.ts";
import { type Metric, metricOf } from "../results/metrics.ts";
import type { CompareReport, Comparison, IntervalReport, SizeReport } from "../results/report.ts";
import { armColor, BAND, MUTED, type Picture } from "./svg.ts";
import { measuredMetrics } from "./tables.ts";
import { EQUAL_WITHIN } from "../results/verdict.ts";

/** One metric: each run as a dot, in the order of the runs from top to bottom, beside its interval. */
export function runsChart(
  report: CompareReport,
  size: SizeReport,
  metric: Metric,
  width: number,
): Picture {
  const arms = size.arms.filter(({ metrics }) => metrics[metric.name] !== null);
  const labels = rowNamesWidth(report.arms.map(({ name }) => name), width, 0.3);
  const series = arms.flatMap(({ arm, metrics }, at) => {
    const color = colorOf(report, arm);
    const values = valuesOf(
      report.runs.filter((run) => run.n === size.n && run.arm === arm),
      metric.name,
    );
    const row = arms.length - 1 - at;
    const dots = values.map((value, run): Point => [
      value / metric.scale,
      row + 0.3 - 0.4 * (values.length === 1 ? 0.5 : run / (values.length - 1)),
    ]);
    const { median, interval } = metrics[metric.name]!;
    return [
      {
        type: "scatter",
        silent: true,
        data: dots,
        symbolSize: 7,
        itemStyle: { color, opacity: 0.55 },
      },
      intervals([{
        at: row - 0.3,
        value: median / metric.scale,
        range: scaled(interval, metric.scale),
        color,
      }], "x"),
    ];
  });
  return {
    height: 62 + 52 * arms.length,
    option: {
      grid: { left: labels, right: 24, top: 8, bottom: 44 },
      xAxis: valueAxis(`${metric.title}, ${metric.unit}`, { scale: true }),
      yAxis: rowAxis(arms.map(({ arm }) => ({ text: arm })), labels),
      series,
    },
  };
}

/** A row of the ratios: a metric's name, an arm's ratio, or both. */
interface RatioRow {
  readonly name: RowName;
  readonly comparison: Comparison | null;
}

/** The ratios of all metrics with their intervals, and the band in which they count as equal. */
export function ratiosChart(report: CompareReport, size: SizeReport, width: number): Picture {
  const rows = measuredMetrics(size).flatMap((metric) => ratioRows(size, metric));
  const comparisons = rows.flatMap(({ comparison }, at) =>
    comparison === null ? [] : [{ comparison, at: rows.length - 1 - at }]
  );
  const labels = rowNamesWidth(rows.map(({ name }) => name.text), width, 0.45);
  const bounds = ratioBounds(comparisons.map(({ comparison }) => comparison), width);
  return {
    height: 66 + (size.arms.length === 2 ? 32 : 26) * rows.length,
    option: {
      grid: { left: labels, right: 24, top: 24, bottom: 44 },
      xAxis: {
        ...valueAxis("ratio; left of 1 is better", bounds),
        axisLabel: { color: MUTED, formatter: (value: number) => String(Number(value.toFixed(2))) },
      },
      yAxis: rowAxis(rows.map(({ name }) => name), labels),
      series: [
        {
          type: "line",
          silent: true,
          data: [],
          lineStyle: { color: MUTED },
          markArea: {
            silent: true,
            itemStyle: { color: BAND, borderColor: BAND },
            data: [[{ xAxis: 1 / EQUAL_WITHIN }, { xAxis: EQUAL_WITHIN }]],
          },
          markLine: {
            silent: true,
            symbol: "none",
            label: { show: true, formatter: "equal", position: "end", color: MUTED },
            lineStyle: { color: MUTED, type: "dashed", width: 1 },
            data: [{ xAxis: 1 }],
          },
        },
        intervals(
          comparisons.map(({ comparison, at }) => ({
            at,
            value: comparison.ratio!,
            range: comparison.interval,
            color: colorOf(report, comparison.arm),
          })),
          "x",
        ),
      ],
    },
  };
}

/** With two arms each metric is a row; with more it heads a row for each. */
function ratioRows({ arms, comparisons }: SizeReport, { name, title }: Metric): RatioRow[] {
  const found = comparisons.filter(({ metric, ratio }) => metric === name && ratio !== null);
  if (found.length === 0) return [];
  if (arms.length === 2) return [{ name: { text: title }, comparison: found[0]! }];
  return [
    { name: { text: title }, comparison: null },
    ...found.map((comparison) => ({ name: { text: comparison.arm, isMuted: true }, comparison })),
  ];
}

/**
 * The bounds of the ratios' axis: from below the lowest ratio to above the highest, including the band
 * that counts as equal, in round steps.
 */
function ratioBounds(comparisons: readonly Comparison[], width: number): Bounds {
  const ends = comparisons.flatMap(({ ratio, interval }) =>
    interval === null ? [ratio!] : [interval.low, interval.high]
  );
  const low = Math.min(...ends, 1 / EQUAL_WITHIN);
  const high = Math.max(...ends, EQUAL_WITHIN);
  const most = width < NARROW ? 6 : 12;
  const step =
    [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10].find((step) => (high - low) / step <= most) ??
      (high - low) / most;
  return { min: Math.floor(low / step) * step, max: Math.ceil(high / step) * step, interval: step };
}

/** The last subscriber's time over the number of subscribers. */
export function sweepChart(report: CompareReport, width: number): Picture {
  const metric = metricOf("max_ms");
  // Shift the arms a little sideways, so that no interval hides behind another.
  const step = report.sizes.at(-1)!.n * 8 / width;
  const series = report.arms.flatMap(({ name }, at) => {
    const results = report.sizes.flatMap(({ n, arms }) => {
      const result = arms.find(({ arm }) => arm === name)!.metrics[metric.name];
      return result === null ? [] : [{ n, ...result }];
    });
    const runs = report.runs.filter((run) => run.valid && run.arm === name);
    const aside = (at - (report.arms.length - 1) / 2) * step;
    return [
      {
        type: "scatter",
        silent: true,
        data: runs.map((run): Point => [run.n + aside, run.metrics.max_ms!]),
        symbolSize: 5,
        itemStyle: { color: armColor(at), opacity: 0.35 },
      },
      line(at, results.map(({ n, median }): Point => [n + aside, median]), 2, 1),
      intervals(
        results.map(({ n, median, interval }) => ({
          at: n + aside,
          value: median,
          range: interval,
          color: armColor(at),
        })),
        "y",
      ),
    ];
  });
  return {
    height: width < NARROW ? 300 : 380,
    option: {
      grid: { left: 56, right: 24, top: 32, bottom: 44 },
      xAxis: {
        ...valueAxis("subscribers", { min: 0, max: report.sizes.at(-1)!.n * 1.02 }),
        axisLabel: { color: MUTED, formatter: number, hideOverlap: true, showMaxLabel: false },
      },
      yAxis: valueAxis("last subscriber, ms", { min: 0 }, "end"),
      series,
    },
  };
}

function colorOf({ arms }: CompareReport, arm: string): string {
  return armColor(arms.findIndex(({ name }) => name === arm));
}

function scaled(interval: IntervalReport | null, scale: number): IntervalReport | null {
  return interval === null ? null : { low: interval.low / scale, high: interval.high / scale };
}
