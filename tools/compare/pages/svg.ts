/**
 * Pictures as SVG text, by ECharts, without a browser.
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

/** What a picture shows, drawn for a width in CSS pixels. */
export interface Picture {
  readonly height: number;
  readonly option: EChartsCoreOption;
}

/** Colours by name: a page says what they are, in light and in dark. */
export const INK = "var(--ink)";
export const MUTED = "var(--muted)";
export const GRID_LINE = "var(--grid)";
export const BAND = "var(--band)";

/** The colour of the arm of that number, from 0. */
export function armColor(arm: number): string {
  return `var(--arm-${arm})`;
}

/** A scalable picture without a size of its own but its proportions. */
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
      // Styles and marks are for a mouse that hovers; a picture has none.
      .replace(/<style\s*>[\s\S]*?<\/style>\n?/, "")
      .replace(/ (?:class|pointer-events|ecmeta_\w+)="[^"]*"/g, "");
  } finally {
    chart.dispose();
  }
}
