/**
 * The parts of the report's pictures.
 *
 * @module
 */

import type { CustomSeriesRenderItemAPI, CustomSeriesRenderItemReturn } from "echarts";
import type { IntervalReport } from "../results/report.ts";
import { armColor, GRID_LINE, INK, MUTED } from "./svg.ts";

/** Pictures narrower than this, in pixels, are drawn for a phone. */
export const NARROW = 480;

export type Point = readonly [x: number, y: number];

/** A line in the colour of the arm of that number. */
export function line(arm: number, data: readonly Point[], width: number, opacity: number) {
  return {
    type: "line",
    silent: true,
    showSymbol: false,
    data,
    lineStyle: { color: armColor(arm), width, opacity },
    itemStyle: { color: armColor(arm) },
  };
}

/** A value with its range. */
export interface Whisker {
  /** Its position on the other axis. */
  readonly at: number;
  readonly value: number;
  readonly range: IntervalReport | null;
  readonly color: string;
}

/** A diamond at each value, and a bar with ends over its range. */
export function intervals(whiskers: readonly Whisker[], along: "x" | "y") {
  const point = (value: number, at: number): [number, number] =>
    along === "x" ? [value, at] : [at, value];
  return {
    type: "custom",
    silent: true,
    z: 5,
    // The axis must include the ends of the ranges too.
    encode: { x: along === "x" ? [0, 2, 3] : [1], y: along === "x" ? [1] : [0, 2, 3] },
    data: whiskers.map((
      { value, at, range },
    ) => [value, at, range?.low ?? value, range?.high ?? value]),
    renderItem(
      { dataIndex }: { dataIndex: number },
      api: CustomSeriesRenderItemAPI,
    ): CustomSeriesRenderItemReturn {
      const { at, value, range, color } = whiskers[dataIndex]!;
      const [x, y] = api.coord(point(value, at)) as [number, number];
      const diamond = {
        type: "polygon" as const,
        shape: { points: [[x - 5, y], [x, y - 6], [x + 5, y], [x, y + 6]] as [number, number][] },
        style: { fill: color, stroke: "var(--surface)", lineWidth: 1.5 },
      };
      if (range === null) return { type: "group", children: [diamond] };
      const [x1, y1] = api.coord(point(range.low, at)) as [number, number];
      const [x2, y2] = api.coord(point(range.high, at)) as [number, number];
      const [dx, dy] = along === "x" ? [0, 5] : [5, 0];
      const stroke = (shape: { x1: number; y1: number; x2: number; y2: number }) => ({
        type: "line" as const,
        shape,
        style: { stroke: color, fill: "none", lineWidth: 2 },
      });
      return {
        type: "group",
        children: [
          stroke({ x1, y1, x2, y2 }),
          stroke({ x1: x1 - dx, y1: y1 - dy, x2: x1 + dx, y2: y1 + dy }),
          stroke({ x1: x2 - dx, y1: y2 - dy, x2: x2 + dx, y2: y2 + dy }),
          diamond,
        ],
      };
    },
  };
}

/** The bounds of an axis; absent ones follow from the values. */
export interface Bounds {
  readonly min?: number;
  readonly max?: number;
  readonly interval?: number;
  /** True if the axis may begin elsewhere than at zero. */
  readonly scale?: boolean;
}

/** An axis of numbers, its name below it or at its upper end. */
export function valueAxis(name: string, bounds: Bounds, nameLocation: "middle" | "end" = "middle") {
  return {
    type: "value",
    silent: true,
    name,
    nameLocation,
    nameGap: nameLocation === "middle" ? 26 : 12,
    nameTextStyle: { color: MUTED, ...(nameLocation === "end" ? { align: "left" } : {}) },
    axisLabel: { color: MUTED, hideOverlap: true },
    axisLine: { show: false },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: GRID_LINE, width: 1 } },
    ...bounds,
  };
}

/** A row's name. */
export interface RowName {
  readonly text: string;
  /** True for a name that is subordinate to the row above. */
  readonly isMuted?: boolean;
}

/** Pixels: the width of a letter in a row's name, in common fonts, and the space beside the name. */
const LETTER_WIDTH = 7.2;
const NAME_MARGIN = 20;

/** The width of the rows' names in pixels, at most `part` of the picture's width. */
export function rowNamesWidth(names: readonly string[], width: number, part: number): number {
  const longest = Math.max(...names.map(({ length }) => length), 4);
  return Math.min(longest * LETTER_WIDTH + NAME_MARGIN, width * part);
}

/**
 * Rows with a name each, the first at the top, numbered from the bottom.
 *
 * @param width The pixels for a name; a longer name is cut.
 */
export function rowAxis(names: readonly RowName[], width: number) {
  const letters = Math.round((width - NAME_MARGIN) / LETTER_WIDTH);
  const cut = (text: string) => text.length > letters ? `${text.slice(0, letters - 1)}…` : text;
  const nameAt = (value: number) => names[names.length - 1 - value];
  return {
    type: "value",
    silent: true,
    min: -0.5,
    max: names.length - 0.5,
    interval: 0.5,
    axisLabel: {
      color: (value: number | string) => nameAt(Number(value))?.isMuted === true ? MUTED : INK,
      fontSize: 13,
      formatter: (value: number) => cut(nameAt(value)?.text ?? ""),
    },
    axisLine: { show: false },
    axisTick: { show: false },
    splitLine: { show: false },
  };
}
