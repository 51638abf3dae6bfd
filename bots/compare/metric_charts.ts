/**
 * Pictures of what runs are compared in.
 *
 * @module
 */

import { valuesOf } from "./build_report.ts";
import {
  type Bounds,
  intervals,
  line,
  NARROW,
  type Point,
  rowAxis,
  valueAxis,
} from "./chart_parts.ts";
import { number } from "./format.ts";
import { type Metric, metricOf } from "./metrics.ts";
import type { CompareReport, Comparison, IntervalReport, SizeReport } from "./report.ts";
import { armColor, BAND, MUTED, type Picture } from "./svg.ts";
import { measuredMetrics } from "./tables.ts";
import { EQUAL_WITHIN } from "./verdict.ts";

/** One metric: each run as a dot, in the order of the runs from top to bottom, beside its interval. */
export function runsChart(
  report: CompareReport,
  size: SizeReport,
  metric: Metric,
  width: number,
): Picture {
  const { arms } = size;
  const labels = Math.min(longestName(report) * 7.4 + 22, width * 0.3);
  const series = arms.flatMap(({ arm, metrics }, at) => {
    const values = valuesOf(
      report.runs.filter((run) => run.n === size.n && run.arm === arm),
      metric.name,
    );
    const row = arms.length - 1 - at;
    const dots = values.map((value, run): Point => [
      value / metric.scale,
      row + 0.3 - 0.4 * (values.length === 1 ? 0.5 : run / (values.length - 1)),
    ]);
    const result = metrics[metric.name];
    return [
      {
        type: "scatter",
        silent: true,
        data: dots,
        symbolSize: 7,
        itemStyle: { color: armColor(at), opacity: 0.55 },
      },
      ...(result === null ? [] : [intervals([{
        at: row - 0.3,
        value: result.median / metric.scale,
        range: scaled(result.interval, metric.scale),
        color: armColor(at),
      }], "x")]),
    ];
  });
  return {
    height: 62 + 52 * arms.length,
    option: {
      grid: { left: labels, right: 24, top: 8, bottom: 44 },
      xAxis: valueAxis(`${metric.title}, ${metric.unit}`, { scale: true }),
      yAxis: rowAxis(arms.map(({ arm }) => arm).reverse()),
      series,
    },
  };
}

/** The ratios of all metrics with their intervals, and the band in which they count as equal. */
export function ratiosChart(report: CompareReport, size: SizeReport, width: number): Picture {
  const baseline = size.arms[0]!.arm;
  const rows = measuredMetrics(size).flatMap((metric) =>
    size.comparisons.filter((one) => one.metric === metric.name && one.ratio !== null)
      .map((comparison) => ({ metric, comparison }))
  );
  const isOnly = size.arms.length === 2;
  const names = rows.map(({ metric, comparison }) =>
    isOnly ? metric.title : `${metric.title}, ${comparison.arm}`
  );
  const labels = Math.min(
    Math.max(...names.map(({ length }) => length), 4) * 7.2 + 22,
    width * 0.45,
  );
  const last = rows.length - 1;
  const whose = isOnly ? size.arms[1]!.arm : "it";
  return {
    height: 66 + 32 * rows.length,
    option: {
      grid: { left: labels, right: 24, top: 24, bottom: 44 },
      xAxis: {
        ...valueAxis(`times ${baseline}'s; left of 1 ${whose} is better`, ratioBounds(rows, width)),
        axisLabel: { color: MUTED, formatter: (value: number) => String(Number(value.toFixed(2))) },
      },
      yAxis: rowAxis([...names].reverse()),
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
          rows.map(({ comparison }, at) => ({
            at: last - at,
            value: comparison.ratio!,
            range: comparison.interval,
            color: armColor(report.arms.findIndex(({ name }) => name === comparison.arm)),
          })),
          "x",
        ),
      ],
    },
  };
}

/** From below the lowest ratio to above the highest, equal within, in steps that people count in. */
function ratioBounds(
  rows: readonly { readonly comparison: Comparison }[],
  width: number,
): Bounds {
  const ends = rows.flatMap(({ comparison: { ratio, interval } }) =>
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
  // A little to the side of each other, so that no interval hides behind another.
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

function longestName({ arms }: CompareReport): number {
  return Math.max(...arms.map(({ name }) => name.length));
}

function scaled(interval: IntervalReport | null, scale: number): IntervalReport | null {
  return interval === null ? null : { low: interval.low / scale, high: interval.high / scale };
}
