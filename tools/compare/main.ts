/**
 * The comparison's command; see `--help`.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { answer, runCommand } from "../../cli/command.ts";
import { detectRuntime } from "../../runtime/detect.ts";
import { compare } from "./compare.ts";
import { count } from "./results/format.ts";
import { HELP, parseCommand } from "./options.ts";
import type { CompareReport } from "./results/report.ts";
import { remakeReport } from "./results/remake_report.ts";
import { reportText, runLine } from "./text.ts";
import { Cleanup } from "../harness/cleanup.ts";
import { checkFolder, reportFolder, writeReports } from "./write_reports.ts";

const INTERRUPTED =
  "compare: ending what runs, then the report of the runs that are over; a second " +
  "signal ends at once";

if (import.meta.main) await runCommand("compare", main);

async function main(args: readonly string[]): Promise<number> {
  const command = parseCommand(args);
  switch (command.does) {
    case "help":
    case "version":
      return answer(command, HELP);
    case "report": {
      const { file, options } = command;
      const report = remakeReport(file);
      const folder = options.out ?? dirname(file);
      checkFolder(folder, { arms: report.arms, sizes: report.sizes.map(({ n }) => n) });
      await writeAndPrint(report, options.json, folder);
      return 0;
    }
    case "run": {
      const { options } = command;
      const folder = reportFolder(options.out);
      checkFolder(folder, options);
      const cleanup = new Cleanup();
      cleanup.listen(() => console.error(INTERRUPTED));
      const report = await compare(await detectRuntime(), options, args, {
        cleanup,
        say: (line) => console.error(line),
        onRun: (run, total) => console.error(runLine(run, total)),
      });
      if (report === null) {
        console.error("compare: no run was over, so there is nothing to report");
        return cleanup.status!;
      }
      if (report.interrupted !== null) {
        const { interrupted: { planned_runs }, runs } = report;
        console.error(`compare: ${runs.length} of ${count(planned_runs, "run")} are over`);
      }
      await writeAndPrint(report, options.json, folder);
      return cleanup.status ?? (isComplete(report) ? 0 : 1);
    }
  }
}

async function writeAndPrint(report: CompareReport, json: boolean, folder: string): Promise<void> {
  await writeReports(report, folder);
  console.error(`compare: the report is ${join(folder, "report.html")}`);
  console.log(json ? JSON.stringify(report) : "\n" + reportText(report));
}

/** True if every arm had all its valid runs. */
function isComplete({ sizes, options }: CompareReport): boolean {
  return sizes.every(({ arms }) => arms.every(({ valid_runs }) => valid_runs >= options.runs));
}
