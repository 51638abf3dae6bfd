/**
 * The bots' command; see `--help`.
 *
 * @module
 */

import { isChild } from "../cli/child.ts";
import { answer, endOnSignal, runCommand } from "../cli/command.ts";
import { detectRuntime } from "../runtime/detect.ts";
import { checkReportFile, writeReportFile } from "../cli/report_file.ts";
import { measure, type Observer } from "./measure.ts";
import { serveAsAgent } from "./agents/serve.ts";
import { HELP } from "./run/help.ts";
import { parseCommand } from "./run/options.ts";
import { EXIT_STATUS, outcomeOf, stormOutcome } from "./results/outcome.ts";
import { findingText } from "./run/preflight.ts";
import { startProgress } from "./run/progress.ts";
import { reportText } from "./results/report_text.ts";
import { measureStorm } from "./storm/measure_storm.ts";
import { stormText } from "./storm/text.ts";

if (import.meta.main) {
  if (isChild()) await import("./fleet/worker.ts");
  else await runCommand("bots", main);
}

async function main(args: readonly string[]): Promise<number> {
  const command = parseCommand(args);
  if (!("options" in command)) return answer(command, HELP);
  if (command.does === "serve") return await serveAsAgent(await detectRuntime(), command.options);
  const { options } = command;
  checkReportFile(options.json, "--json");
  const runtime = await detectRuntime();
  if (command.does === "storm") {
    const report = await measureStorm(runtime, options, command.storm, args, {
      ...observer(options.n),
      // deno-lint-ignore require-await
      async onSubscribed() {
        console.error("bots: all wait for the server to go; restart it now");
      },
    });
    printReport(report, stormText(report, options.isVerbose), options.json);
    return EXIT_STATUS[stormOutcome(report)];
  }
  const report = await measure(runtime, options, args, observer(options.n));
  printReport(report, reportText(report, options.isVerbose), options.json);
  return EXIT_STATUS[outcomeOf(report)];
}

function observer(n: number): Observer {
  let say: (line: string) => void = console.error;
  return {
    onFindings(findings) {
      for (const finding of findings) console.error(findingText(finding));
    },
    async onStart(end) {
      const progress = await startProgress(n);
      say = progress.say;
      endOnSignal(() => {
        progress.stop();
        end();
      });
      return progress;
    },
    onNote: (text) => say(`bots: ${text}`),
  };
}

function printReport(report: object, text: string, json: string | null): void {
  if (json === "-") {
    console.error(text);
    console.log(JSON.stringify(report, null, 2));
    return;
  }
  console.log(text);
  if (json !== null) writeReportFile(json, JSON.stringify(report, null, 2) + "\n", "--json");
}
