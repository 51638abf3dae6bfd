// The charts of the last minutes.
// deno-lint-ignore-file no-unused-vars -- live_page.ts puts the page's scripts behind one another

const KEPT_SECONDS = 300;
const LEAST_SECONDS = 60;
const MARK_PIXELS = 75;

const history_ = {
  times: [],
  large: [],
  p50: [],
  p99: [],
  max: [],
  connections: [],
  deliveries: [],
  held: [],
  delay: [],
};

function remember(values) {
  for (const [name, list] of Object.entries(history_)) {
    list.push(values[name] ?? null);
    if (list.length > KEPT_SECONDS) list.shift();
  }
}

function axes(format) {
  const stroke = color("--muted");
  const grid = { stroke: color("--grid"), width: 1 };
  const common = { stroke, grid, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  return [
    {
      ...common,
      size: 24,
      splits: timeMarks,
      values: (plot, splits) => splits.map((at) => ago(plot, at)),
    },
    { ...common, size: 52, space: 28, values: (_, splits) => splits.map(format) },
  ];
}

/** The time of a point before the last one. */
function ago(plot, at) {
  const seconds = Math.round(plot.scales.x.max - at);
  if (seconds < 2) return "now";
  if (seconds < 60) return `−${seconds} s`;
  const rest = seconds % 60;
  const minutes = Math.floor(seconds / 60);
  return rest === 0 ? `−${minutes} min` : `−${minutes}:${String(rest).padStart(2, "0")}`;
}

/** The places of the marks on the time axis, counted from its end. */
function timeMarks(plot, _axis, min, max) {
  const span = max - min;
  const most = Math.max(1, plot.width / MARK_PIXELS);
  const step = [15, 30, 60, 150, 300].find((seconds) => span / seconds <= most) ?? 300;
  const marks = [];
  for (let at = max; at >= min; at -= step) marks.unshift(at);
  return marks;
}

/** Draws the second that the server promises. */
function drawPromise(plot) {
  const y = Math.round(plot.valToPos(1000, "y", true));
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = color("--bad");
  ctx.fillStyle = color("--bad");
  ctx.lineWidth = devicePixelRatio * 1.5;
  ctx.setLineDash([devicePixelRatio * 10, devicePixelRatio * 4]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = "right";
  ctx.fillText("one second", bbox.left + bbox.width, y - 6 * devicePixelRatio);
  ctx.restore();
}

const charts = [
  {
    id: "fanout-chart",
    height: () => innerWidth < 760 ? 200 : 250,
    series: ["p50", "p99", "max", "large"],
    make: () => ({
      scales: { y: { distr: 3, range: (_, min, max) => fanoutRange(min, max) } },
      axes: axes((ms) => ms === null ? "" : ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`).map(
        (axis, at) =>
          at === 0 ? axis : { ...axis, filter: (_, splits) => splits.map(isPowerOfTen) },
      ),
      series: [
        {},
        { stroke: color("--p50"), width: 2, spanGaps: false, points: { show: false } },
        { stroke: color("--p99"), width: 2, dash: [8, 3], points: { show: false } },
        { stroke: color("--max"), width: 2, dash: [2, 3], points: { show: false } },
        {
          stroke: color("--accent"),
          width: 0,
          points: { show: true, size: 6, fill: color("--accent") },
        },
      ],
      hooks: { draw: [drawPromise] },
    }),
  },
  small("connections-chart", "connections", count),
  small("deliveries-chart", "deliveries", (n) => short.format(n)),
  small("held-chart", "held", bytes),
  small("delay-chart", "delay", (ms) => time(ms)),
];

function isPowerOfTen(value) {
  return Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9 ? value : null;
}

function fanoutRange(min, max) {
  return [(min ?? 1) < 1 ? 0.1 : 1, Math.max(3000, (max ?? 0) * 1.2)];
}

function small(id, name, format) {
  return {
    id,
    height: () => 110,
    series: [name],
    make: () => ({
      scales: { y: { range: (_, _min, max) => [0, max > 0 ? max * 1.15 : 1] } },
      axes: axes(format),
      series: [{}, {
        stroke: color("--p50"),
        width: 2,
        fill: color("--fill"),
        points: { show: false },
      }],
    }),
  };
}

function dataOf({ series }) {
  return [history_.times, ...series.map((name) => history_[name])];
}

function draw() {
  for (const chart of charts) {
    const box = byId(chart.id);
    const width = box.clientWidth;
    if (chart.plot === undefined) {
      const options = {
        width,
        height: chart.height(),
        legend: { show: false },
        cursor: { show: false },
        padding: [10, 12, 0, 0],
        ...chart.make(),
      };
      options.scales.x = {
        time: false,
        range: (_, min, max) => {
          const end = max ?? Date.now() / 1000;
          const span = Math.min(KEPT_SECONDS, Math.max(LEAST_SECONDS, end - (min ?? end)));
          return [end - span, end];
        },
      };
      chart.plot = new uPlot(options, dataOf(chart), box);
    } else {
      if (chart.plot.width !== width) chart.plot.setSize({ width, height: chart.height() });
      chart.plot.setData(dataOf(chart));
    }
  }
}

/** Makes the charts anew, in the colors of the theme. */
function redraw() {
  for (const chart of charts) {
    chart.plot?.destroy();
    chart.plot = undefined;
  }
  draw();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
addEventListener("resize", draw);
