import { init, use } from "echarts/core";
import { LineChart } from "echarts/charts";
import { GridComponent, LegendComponent } from "echarts/components";
import { SVGRenderer } from "echarts/renderers";
use([LineChart, GridComponent, LegendComponent, SVGRenderer]);
const t = performance.now();
const c = init(null, null, { renderer: "svg", ssr: true, width: 680, height: 360 });
c.setOption({
  animation: false,
  xAxis: { type: "value", axisLine: { lineStyle: { color: "var(--fg)" } } },
  yAxis: {},
  legend: { show: true, textStyle: { color: "var(--fg)" } },
  series: [{
    type: "line",
    silent: true,
    data: [[0, 1], [1, 3], [2, 2]],
    color: "var(--a)",
    areaStyle: { opacity: .2 },
    name: "Hello",
  }],
});
console.log(c.renderToSVGString(), performance.now() - t);
