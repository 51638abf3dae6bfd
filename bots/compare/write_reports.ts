/**
 * The report's files.
 *
 * @module
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EnvironmentError } from "../../runtime/command_line.ts";
import { pooledLatencies } from "./build_report.ts";
import { hgrmText } from "./hgrm.ts";
import { reportMarkdown } from "./markdown.ts";
import type { CompareReport } from "./report.ts";

/**
 * Writes all files of a report.
 *
 * @param folder It is made where it isn't there.
 * @throws {EnvironmentError} (rejects) if a file can't be written.
 */
export async function writeReports(report: CompareReport, folder: string): Promise<void> {
  // First: whatever happens then, what was measured is safe.
  write(folder, { "report.json": JSON.stringify(report) + "\n" });
  // Only who draws pictures pays for the library that does.
  const { reportHtml } = await import("./html.ts");
  write(folder, {
    "report.md": reportMarkdown(report),
    "report.html": reportHtml(report),
    ...hgrmFiles(report),
  });
}

function write(folder: string, files: Readonly<Record<string, string>>): void {
  try {
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  } catch (cause) {
    throw new EnvironmentError(`can't write the report: ${(cause as Error).message}`, { cause });
  }
}

function hgrmFiles({ sizes, arms, runs }: CompareReport): Record<string, string> {
  return Object.fromEntries(sizes.flatMap(({ n }) =>
    arms.flatMap(({ name }) => {
      const latencies = pooledLatencies(runs.filter((run) => run.n === n && run.arm === name));
      return latencies.length === 0 ? [] : [[`${name}-${n}.hgrm`, hgrmText(latencies)]];
    })
  ));
}
