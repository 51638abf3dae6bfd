/**
 * The report's files.
 *
 * @module
 */

import { accessSync, constants, existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { EnvironmentError } from "../../runtime/command_line.ts";
import { pooledLatencies } from "./build_report.ts";
import { hgrmText } from "./hgrm.ts";
import { reportMarkdown } from "./markdown.ts";
import type { CompareReport } from "./report.ts";

/**
 * Asks before minutes are spent whether a folder can be had, and files in it.
 *
 * @throws {EnvironmentError} if not.
 */
export function checkFolder(folder: string): void {
  let there = resolve(folder);
  while (!existsSync(there)) there = dirname(there);
  try {
    if (!statSync(there).isDirectory()) throw new Error(`${there} is no folder`);
    accessSync(there, constants.W_OK);
  } catch (cause) {
    throw cannotWrite(cause);
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
    throw cannotWrite(cause);
  }
}

function cannotWrite(cause: unknown): EnvironmentError {
  const { message } = cause as Error;
  return new EnvironmentError(`can't write the report: ${message}; see --out`, { cause });
}

function hgrmFiles({ sizes, arms, runs }: CompareReport): Record<string, string> {
  return Object.fromEntries(sizes.flatMap(({ n }) =>
    arms.flatMap(({ name }) => {
      const latencies = pooledLatencies(runs.filter((run) => run.n === n && run.arm === name));
      return latencies.length === 0 ? [] : [[`${name}-${n}.hgrm`, hgrmText(latencies)]];
    })
  ));
}
