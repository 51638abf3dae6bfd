/**
 * Writes the report's files.
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
 * Checks whether a report's files can be written, before minutes are spent. Nothing is left behind, and
 * existing files stay as they are.
 *
 * @param folder The same as for {@linkcode writeReports}.
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
 * The folder of the reports.
 *
 * @param out The value of `--out`; `null` for a folder that is named after the current time in UTC.
 */
export function reportFolder(out: string | null): string {
  return out ?? join("reports", new Date().toISOString().slice(0, 19).replaceAll(":", "-"));
}

/** The arms and sizes that a report's file names depend on. */
export interface ReportPlan {
  readonly arms: readonly { readonly name: string }[];
  readonly sizes: readonly number[];
}

const PAGES = ["report.json", "report.md", "report.html"] as const;

function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // It wasn't created, or another process has put something into it.
  }
}

/**
 * Writes all files of a report.
 *
 * @param folder The folder; it is created if it doesn't exist.
 * @throws {EnvironmentError} (rejects) if a file can't be written.
 */
export async function writeReports(report: CompareReport, folder: string): Promise<void> {
  // Write this file first, so that the measurements are safe if the others fail.
  write(folder, { "report.json": JSON.stringify(report) + "\n" });
  // Load the library that draws pictures only now, since most commands don't need it.
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
