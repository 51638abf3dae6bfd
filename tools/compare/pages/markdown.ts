/**
 * The report as Markdown, for a README or an issue.
 *
 * @module
 */

import { count } from "../results/format.ts";
import { MEANINGS, methodText } from "./method.ts";
import type { CompareReport } from "../results/report.ts";
import {
  environmentTable,
  interruptionRemark,
  ratioLegend,
  remarks,
  sizeTable,
  type Table,
} from "./tables.ts";

/** The whole report in GitHub's Markdown, with a line feed at its end. */
export function reportMarkdown(report: CompareReport): string {
  const names = report.arms.map(({ name }) => name).join(" and ");
  return [
    `# ${escape(names)} compared`,
    "",
    ...interruptionRemark(report).flatMap((remark) => [escape(remark), ""]),
    ...report.conclusions.map((conclusion) => `- **${escape(conclusion)}**`),
    ...report.sizes.flatMap((size) => [
      "",
      `## ${count(size.n, "subscriber")}`,
      "",
      ...(size === report.sizes.at(-1)
        ? []
        : size.conclusions.flatMap((text) => [escape(text), ""])),
      ...table(sizeTable(size)),
      "",
      ...[...ratioLegend(size), ...remarks(report, size)].map((remark) => `- ${escape(remark)}`),
    ]),
    "",
    "## Environment",
    "",
    ...table(environmentTable(report)),
    "",
    "## Method",
    "",
    ...methodText(report).flatMap((paragraph) => [escape(paragraph), ""]),
    ...table(MEANINGS),
    "",
  ].join("\n");
}

function table({ head, rows }: Table): string[] {
  const line = (cells: readonly string[]) => `| ${cells.map(escape).join(" | ")} |`;
  const isNumber = (at: number) => head.length > 2 && at > 1 && at < head.length - 1;
  return [
    line(head),
    `|${head.map((_, at) => isNumber(at) ? " ---: " : " --- ").join("|")}|`,
    ...rows.map(line),
  ];
}

/** Escapes characters that Markdown would read as markup. */
function escape(text: string): string {
  return text.replace(/[\\`*_<>|[\]]/g, "\\$&");
}
