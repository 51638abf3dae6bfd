/**
 * The bots' command as a process of its own.
 *
 * @module
 */

import { EnvironmentError } from "../../cli/command_line.ts";
import { ProcessGroup } from "../../cli/process_group.ts";
import {
  childEnvironment,
  type Program,
  PROJECT_ROOT,
  type RuntimeName,
} from "../../cli/program.ts";
import type { BotsReport } from "../../bots/results/report.ts";

/** How to run the bots. */
export interface BotsRun {
  readonly runtime: RuntimeName;
  readonly program: Program;
  /** What is put before the program, such as `taskset -c 1`. */
  readonly prefix?: readonly string[];
  /** What follows the bots' command. */
  readonly args: readonly (string | number)[];
  /** Milliseconds after which they're ended. */
  readonly limitMs: number;
  /** Gets the bots' processes. */
  readonly onSpawn?: (group: ProcessGroup) => void;
}

/**
 * Runs bots to their end, and that of all of their processes; their text goes to our standard output.
 *
 * @throws {EnvironmentError} (rejects) if they give no report.
 */
export function runBots(run: BotsRun): Promise<BotsReport> {
  const command = [
    ...run.prefix ?? [],
    run.program.path,
    ...(run.runtime === "deno" ? ["task", "-q", "bots"] : ["run", "bots/main.ts"]),
    ...run.args.map(String),
    ...["--json", "-"],
  ];
  const group = ProcessGroup.spawn(command, {
    cwd: PROJECT_ROOT,
    env: childEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const bots = group.child;
  run.onSpawn?.(group);
  return new Promise((resolve, reject) => {
    let json = "";
    let text = "";
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      group.signal("SIGTERM");
    }, run.limitMs);
    bots.stdout!.setEncoding("utf8").on("data", (part: string) => json += part);
    bots.stderr!.setEncoding("utf8").on("data", (part: string) => text += part);
    bots.once("error", reject);
    bots.once("close", () => {
      clearTimeout(timer);
      if (text !== "") console.log(text);
      try {
        resolve(JSON.parse(json) as BotsReport);
      } catch {
        const why = isLate ? ` within ${run.limitMs / 1000} s` : "; see above for why";
        reject(new EnvironmentError(`the bots gave no report${why}`));
      }
    });
  });
}
