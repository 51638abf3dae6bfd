/**
 * What a benchmark has measured, as JSON.
 *
 * @module
 */

import os from "node:os";
import { writeReportFile } from "../../cli/report_file.ts";
import { detectRuntime } from "../../runtime/detect.ts";

/**
 * Writes the report that `--json` asks for, with the machine and the clients' runtime in front of the figures.
 *
 * @param file The flag's value, which was checked before anything was measured.
 * @param name The benchmark's name, which the report's schema has.
 * @throws {EnvironmentError} (rejects) if the file can't be written.
 */
export async function writeBenchReport(file: string, name: string, figures: object): Promise<void> {
  const runtime = await detectRuntime();
  const report = {
    schema: `hotwheels-${name}-bench/1`,
    client: `${runtime.name} ${runtime.version}`,
    machine: { os: `${os.type()} ${os.release()}`, cores: os.availableParallelism() },
    ...figures,
  };
  writeReportFile(file, JSON.stringify(report, null, 2) + "\n", "--json");
}
