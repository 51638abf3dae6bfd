/**
 * The report's files.
 *
 * @module
 */

import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { demand } from "../../cli/permission.ts";
import { cannotWrite, tryToWrite } from "../../cli/report_file.ts";
import { pooledLatencies } from "./results/build_report.ts";
import { hgrmText } from "./results/hgrm.ts";
import { reportMarkdown } from "./pages/markdown.ts";
import type { CompareReport } from "./results/report.ts";

/**
 * Asks before minutes are spent whether a report's files can be written. Nothing is left behind, and
 * files that are there stay as they are.
 *
 * @param folder As {@linkcode writeReports} gets it.
 * @throws {EnvironmentError} if one can't be written.
 */
export function checkFolder(folder: string, { arms, sizes }: ReportPlan): void {
  demand({ name: "read", path: folder });
  demand({ name: "write", path: folder });
  const missing: string[] = [];
  for (let path = resolve(folder); !existsSync(path); path = dirname(path)) missing.push(path);
  const names = arms.flatMap(({ name }) => sizes.map((n) => hgrmName(name, n)));
  try {
    mkdirSync(folder, { recursive: true });
    for (const name of [...PAGES, ...names]) tryToWrite(join(folder, name));
  } catch (cause) {
    throw cannotWrite(cause, "--out");
  } finally {
    for (const path of missing) removeEmpty(path);
  }
}

/**
 * The folder that reports go to.
 *
 * @param out As the command line has it; `null` for one that is named after the moment, in UTC.
 */
export function reportFolder(out: string | null): string {
  return out ?? join("reports", new Date().toISOString().slice(0, 19).replaceAll(":", "-"));
}

/** What a report's files depend on. */
export interface ReportPlan {
  readonly arms: readonly { readonly name: string }[];
  readonly sizes: readonly number[];
}

const PAGES = ["report.json", "report.md", "report.html"] as const;

function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // It never came to be, or somebody has put something into it meanwhile.
  }
}

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
  const { reportHtml } = await import("./pages/html.ts");
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
    throw cannotWrite(cause, "--out");
  }
}

function hgrmFiles({ sizes, arms, runs }: CompareReport): Record<string, string> {
  return Object.fromEntries(sizes.flatMap(({ n }) =>
    arms.flatMap(({ name }) => {
      const latencies = pooledLatencies(runs.filter((run) => run.n === n && run.arm === name));
      return latencies.length === 0 ? [] : [[hgrmName(name, n), hgrmText(latencies)]];
    })
  ));
}

function hgrmName(arm: string, n: number): string {
  return `${arm}-${n}.hgrm`;
}
