/**
 * The report as text for the terminal.
 *
 * @module
 */

import { wrapped } from "../../cli/plain_text.ts";
import { count, number, unitValue } from "./results/format.ts";
import { metricOf } from "./results/metrics.ts";
import type { CompareReport, RunReport } from "./results/report.ts";
import {
  interruptionRemark,
  ratioLegend,
  remarks,
  serverOf,
  sizeTable,
  type Table,
} from "./pages/tables.ts";

/** The whole report, without a line feed at its end. Sentences are wrapped at the terminal's width. */
export function reportText(report: CompareReport): string {
  const { cpu_model, cores, os, kernel } = report.environment;
  return [
    ...prose(interruptionRemark(report)),
    ...prose(report.conclusions),
    ...report.sizes.flatMap((size) => [
      "",
      `${count(size.n, "subscriber")}`,
      ...(size === report.sizes.at(-1) ? [] : prose(size.conclusions)),
      ...tableLines(sizeTable(size)),
      ...prose([...ratioLegend(size), ...remarks(report, size)]),
    ]),
    "",
    ...prose(report.arms.map(serverOf)),
    ...prose([
      `${botsText(report.options)}; ` +
      `${cpu_model ?? "unknown CPU"}, ${count(cores, "thread")}, ${os} ${kernel ?? ""}; ` +
      `seed ${report.options.seed}`,
    ]),
  ].join("\n");
}

function botsText(
  { bots_runtime, bots_runtime_version, agents }: CompareReport["options"],
): string {
  const runtime = `${bots_runtime} ${bots_runtime_version}`;
  return agents === undefined
    ? `bots on ${runtime}`
    : `bots of ${count(agents.length, "agent")} (${agents.join(", ")}), led on ${runtime}`;
}

function prose(lines: readonly string[]): string[] {
  return lines.flatMap((line) => wrapped(line, "", "  "));
}

/**
 * A run in one line, while a comparison is under way.
 *
 * @param total The number of runs if all are valid. Runs with higher numbers make up for invalid ones.
 */
export function runLine(run: RunReport, total: number): string {
  const which = run.run <= total ? `run ${run.run} of ${total}` : `run ${run.run}, one more`;
  const what = `${which}: ${run.arm}, ${number(run.n)}`;
  if (!run.valid) return `${what}: not counted: ${run.invalid_because.join("; ")}`;
  const last = metricOf("max_ms");
  const mark = run.clock_error?.small === false
    ? `; MARKED: its clocks are known to ± ${run.clock_error.error_ms.toFixed(1)} ms only`
    : "";
  return `${what}: last after ${unitValue(run.metrics.max_ms!, last)}${mark}`;
}

/** Aligns the first two columns left and numbers right. */
function tableLines({ head, rows }: Table): string[] {
  const widths = head.map((title, at) =>
    Math.max(title.length, ...rows.map((cells) => cells[at]!.length))
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, at) => {
      const width = widths[at]!;
      const isText = at < 2 || at === cells.length - 1;
      return isText ? cell.padEnd(width) : cell.padStart(width);
    }).join("  ").trimEnd();
  return [line(head), ...rows.map(line)];
}
