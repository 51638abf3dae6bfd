/**
 * The report as one page that fetches nothing.
 *
 * @module
 */

import { count, number } from "../results/format.ts";
import { cumulativeChart, histogramChart } from "./latency_charts.ts";
import { MEANINGS, methodText } from "./method.ts";
import { ratiosChart, runsChart, sweepChart } from "./metric_charts.ts";
import type { MetricName, Verdict } from "../results/metrics.ts";
import { PAGE_STYLE } from "./page_style.ts";
import type { CompareReport, SizeReport } from "../results/report.ts";
import { armColor, type Picture, renderSvg } from "./svg.ts";
import {
  environmentTable,
  interruptionRemark,
  measuredMetrics,
  remarks,
  serverOf,
  sizeTable,
  type Table,
} from "./tables.ts";
import { EQUAL_PERCENT } from "../results/verdict.ts";

/**
 * The widths in CSS pixels for which a picture is drawn, so that its letters are as large as the text's.
 * Each has the places in which that drawing is shown; see the style sheet.
 */
type Drawings = readonly (readonly [width: number, places: string])[];

/** The only picture in its row. */
const WHOLE_ROW: Drawings = [[1080, "wide"], [720, "middle paper"], [350, "narrow"]];
/** One of two, except on small screens. */
const HALF_A_ROW: Drawings = [[540, "wide middle"], [350, "narrow paper"]];
/** One of three. */
const THIRD_OF_A_ROW: Drawings = [[350, "wide middle narrow"], [250, "paper"]];

/** The page of a report, with a line feed at its end. */
export function reportHtml(report: CompareReport): string {
  const names = report.arms.map(({ name }) => name);
  const title = `${names.slice(0, -1).join(", ")} and ${names.at(-1)} compared`;
  // Of several numbers of subscribers, only the largest is shown in full: there servers differ most.
  const main = report.sizes.at(-1)!;
  return renumbered(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escape(title)}</title>
<style>${PAGE_STYLE}</style>
</head>
<body>
<main>
${header(report, title)}
${report.sizes.length > 1 ? sweepSection(report) : ""}
${report.sizes.toReversed().map((size) => resultsSection(report, size)).join("\n")}
${latencySection(report, main)}
${runsSection(report, main)}
${useSection(report, main)}
<h2>Environment</h2>
<div class="table facts">${factsTable(environmentTable(report))}</div>
<h2>Method</h2>
${methodText(report).map((paragraph) => `<p>${escape(paragraph)}</p>`).join("\n")}
<div class="table facts">${factsTable(MEANINGS)}</div>
<footer class="muted"><p>Every latency that was taken is in <code>report.json</code> beside this page;
the <code>.hgrm</code> files are for HdrHistogram's plotter.</p></footer>
</main>
</body>
</html>
`);
}

/**
 * Numbers the pictures' names from the beginning of the page. The library that draws them counts on
 * through the life of the process, but the same report must make the same page.
 */
function renumbered(page: string): string {
  const numbers = new Map<string, number>();
  return page.replace(/\bzr(\d+)(?=-)/g, (_, drawn: string) => {
    if (!numbers.has(drawn)) numbers.set(drawn, numbers.size);
    return `zr${numbers.get(drawn)}`;
  });
}

function header(report: CompareReport, title: string): string {
  const { sizes, arms, started_at, environment } = report;
  const valid = sizes.flatMap((size) => size.arms.map(({ valid_runs }) => valid_runs));
  const invalid = sizes.flatMap((size) => size.arms).reduce(
    (sum, arm) => sum + arm.invalid_runs,
    0,
  );
  const runs = Math.min(...valid) === Math.max(...valid)
    ? count(valid[0]!, "valid run")
    : `${Math.min(...valid)} to ${count(Math.max(...valid), "valid run")}`;
  const facts = [
    started_at.slice(0, 10),
    `${runs} of each, ${invalid === 0 ? "none invalid" : `${number(invalid)} invalid`}`,
    `${environment.cpu_model ?? "unknown CPU"}, ${count(environment.cores, "thread")}`,
  ];
  return `<header>
<h1>${escape(title)}</h1>
${interruptionRemark(report).map((remark) => `<p>${escape(remark)}</p>`).join("")}
${report.conclusions.map((conclusion) => `<p class="verdict">${escape(conclusion)}</p>`).join("\n")}
<p class="muted">${facts.map(escape).join(" · ")}</p>
${key(arms.map(serverOf))}
</header>`;
}

/** The legend: the colour of each server. */
function key(names: readonly string[]): string {
  const items = names.map((name, at) =>
    `<li><i style="background:${armColor(at)}"></i>${escape(name)}</li>`
  );
  return `<ul class="key">${items.join("")}</ul>`;
}

function sweepSection(report: CompareReport): string {
  return `<h2>Over the number of subscribers</h2>
${key(report.arms.map(({ name }) => name))}
<div class="figures">${
    figure(
      "The last subscriber",
      "The median of each server's runs with its 95 % interval; each run is a dot.",
      WHOLE_ROW,
      (width) => sweepChart(report, width),
    )
  }</div>`;
}

function resultsSection(report: CompareReport, size: SizeReport): string {
  const baseline = size.arms[0]!.arm;
  const hasRatios = size.comparisons.some(({ ratio }) => ratio !== null);
  const ratios = hasRatios
    ? `<div class="figures">${
      figure(
        "How they differ",
        `Ratios to ${baseline} with their 95 % intervals; below 1 is better. Inside the band, ` +
          `${EQUAL_PERCENT} % either way, two count as equal.`,
        WHOLE_ROW,
        (width) => ratiosChart(report, size, width),
      )
    }</div>`
    : "";
  const conclusions = size === report.sizes.at(-1) ? [] : size.conclusions;
  return `<h2>${count(size.n, "subscriber")}</h2>
${conclusions.map((conclusion) => `<p>${escape(conclusion)}</p>`).join("")}
${ratios}
<p class="muted narrow">Each server's median and its 95 % interval; below it the ratio to
${escape(baseline)} with its own.</p>
<div class="table results">${resultsTable(sizeTable(size))}</div>
<ul class="remarks">${
    remarks(report, size).map((remark) => `<li>${escape(remark)}</li>`).join("")
  }</ul>`;
}

function latencySection(report: CompareReport, size: SizeReport): string {
  if (size.arms.every(({ latency_ms }) => latency_ms === null)) return "";
  // Sorting a million latencies takes long, so do it once for all drawings.
  const [cumulative, histogram] = [cumulativeChart(report, size), histogramChart(report, size)];
  return `<h2>When ${number(size.n)} subscribers have the message</h2>
${key(report.arms.map(({ name }) => name))}
<div class="figures">${
    figure(
      "How many have it by then",
      "Thick: all counted messages of a server together. Thin: each of its runs.",
      HALF_A_ROW,
      () => cumulative,
    )
  }${
    figure(
      "How many get it just then",
      "All counted messages of a server; each step is a fortieth of the longest time.",
      HALF_A_ROW,
      () => histogram,
    )
  }</div>`;
}

function runsSection(report: CompareReport, size: SizeReport): string {
  return metricsSection(
    report,
    size,
    `Each run with ${number(size.n)} subscribers`,
    ["max_ms", "p99_ms", "p50_ms", "setup_ms"],
  );
}

function useSection(report: CompareReport, size: SizeReport): string {
  return metricsSection(
    report,
    size,
    `Memory and CPU with ${number(size.n)} subscribers`,
    ["cpu_s", "peak_memory_bytes", "memory_per_connection_bytes"],
  );
}

function metricsSection(
  report: CompareReport,
  size: SizeReport,
  title: string,
  names: readonly MetricName[],
): string {
  const metrics = measuredMetrics(size).filter(({ name }) => names.includes(name));
  if (metrics.length === 0) return "";
  const figures = metrics.map((metric) =>
    figure(
      metric.title[0]!.toUpperCase() + metric.title.slice(1),
      `${metric.meaning[0]!.toUpperCase()}${metric.meaning.slice(1)}.`,
      metrics.length === 3 ? THIRD_OF_A_ROW : HALF_A_ROW,
      (width) => runsChart(report, size, metric, width),
    )
  );
  return `<h2>${title}</h2>
<p class="muted">Each dot is a run, the first at the top; the diamond is their median, the bar its 95 %
interval.</p>
<div class="figures${metrics.length === 3 ? " thirds" : ""}">${figures.join("")}</div>`;
}

function figure(
  title: string,
  text: string,
  drawings: Drawings,
  draw: (width: number) => Picture,
): string {
  const label = escape(`${title}: ${text}`);
  const pictures = drawings.map(([width, places]) =>
    `<div class="${places}">${
      renderSvg(draw(width), width).replace("<svg", `<svg role="img" aria-label="${label}"`)
    }</div>`
  );
  return `<figure><figcaption><h3>${escape(title)}</h3><p>${escape(text)}</p></figcaption>
${pictures.join("\n")}</figure>`;
}

const GOOD: readonly Verdict[] = ["faster", "less"];
const BAD: readonly Verdict[] = ["slower", "more"];

function resultsTable({ head, rows }: Table): string {
  const last = head.length - 1;
  const isNumber = (at: number) => at > 1 && at < last;
  const cell = (text: string, at: number) => {
    if (at === 0) return `<th scope="row">${escape(text)}</th>`;
    if (at === 1) return `<td class="name">${escape(text)}</td>`;
    if (isNumber(at)) {
      return `<td class="number${at % 2 === 1 ? " range" : ""}">${escape(text)}</td>`;
    }
    const verdict = GOOD.includes(text as Verdict)
      ? `<span class="good">${text}</span>`
      : BAD.includes(text as Verdict)
      ? `<span class="bad">${text}</span>`
      : escape(text);
    return `<td class="said">${verdict}</td>`;
  };
  return `<table><thead><tr>${
    head.map((title, at) => `<th${isNumber(at) ? ' class="number"' : ""}>${escape(title)}</th>`)
      .join("")
  }</tr></thead><tbody>${
    rows.map((row) => `<tr${row[0] === "" ? "" : ' class="first"'}>${row.map(cell).join("")}</tr>`)
      .join("\n")
  }</tbody></table>`;
}

function factsTable({ rows }: Table): string {
  return `<table><tbody>${
    rows.map(([name, value]) =>
      `<tr><th scope="row">${escape(name!)}</th><td>${escape(value!)}</td></tr>`
    )
      .join("\n")
  }</tbody></table>`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
