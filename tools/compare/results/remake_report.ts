/**
 * Builds a report again from its own runs: on another machine, or with a later version that draws better.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { EnvironmentError } from "../../../cli/command_line.ts";
import { buildReport } from "./build_report.ts";
import { type CompareReport, SCHEMA } from "./report.ts";

/**
 * Reads a `report.json`, and judges its runs again.
 *
 * @throws {EnvironmentError} if the file can't be read, or isn't such a report.
 */
export function remakeReport(file: string): CompareReport {
  let report: CompareReport;
  try {
    report = JSON.parse(readFileSync(file, "utf8"));
  } catch (cause) {
    throw new EnvironmentError(`can't read ${file}: ${(cause as Error).message}`, { cause });
  }
  if (report?.schema !== SCHEMA) {
    throw new EnvironmentError(`${file} is no report of a comparison: its schema isn't ${SCHEMA}`);
  }
  return judgeAgain(report);
}

/** Builds the report of the same runs as this version does. */
export function judgeAgain(report: CompareReport): CompareReport {
  return buildReport(report.runs, {
    startedAt: new Date(report.started_at),
    endedAt: new Date(report.ended_at),
    options: report.options,
    arms: report.arms,
    sizes: report.sizes.map(({ n }) => n),
    environment: report.environment,
    interrupted: report.interrupted ?? null,
  });
}
