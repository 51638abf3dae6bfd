/**
 * Draws pictures as SVG text with ECharts, without a browser.
 *
 * @module
 */

import { CustomChart, LineChart, ScatterChart } from "echarts/charts";
import { GridComponent, MarkAreaComponent, MarkLineComponent } from "echarts/components";
import { type EChartsCoreOption, init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

use([
  ...[CustomChart, LineChart, ScatterChart],
  ...[GridComponent, MarkAreaComponent, MarkLineComponent],
  SVGRenderer,
]);

/** The content of a picture that is drawn for a width in CSS pixels. */
export interface Picture {
  readonly height: number;
  readonly option: EChartsCoreOption;
}

/** Colours by name. The page defines them, for light and for dark screens. */
export const INK = "var(--ink)";
export const MUTED = "var(--muted)";
export const GRID_LINE = "var(--grid)";
export const BAND = "var(--band)";

/** The colour of the arm with that number, from 0. */
export function armColor(arm: number): string {
  return `var(--arm-${arm})`;
}

/** Draws a picture that scales and keeps its proportions. */
export function renderSvg({ option, height }: Picture, width: number): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, width, height });
  try {
    chart.setOption({
      animation: false,
      textStyle: { fontFamily: "inherit", fontSize: 12, color: INK },
      ...option,
    });
    return chart.renderToSVGString({ useViewBox: true })
      .replace(/^<svg width="\d+" height="\d+"/, "<svg")
      // Remove styles and marks for a hovering mouse, which a picture doesn't use.
      .replace(/<style\s*>[\s\S]*?<\/style>\n?/, "")
      .replace(/ (?:class|pointer-events|ecmeta_\w+)="[^"]*"/g, "");
  } finally {
    chart.dispose();
  }
}
