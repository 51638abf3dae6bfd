/**
 * Runs the bots' command as a process of its own.
 *
 * @module
 */

import { EnvironmentError } from "../../cli/command_line.ts";
import { ProcessGroup } from "../../cli/process_group.ts";
import {
  childEnvironment,
  DENO_TASK,
  type Program,
  PROJECT_ROOT,
  type RuntimeName,
} from "../../cli/program.ts";
import type { BotsReport } from "../../bots/results/report.ts";

/** A run of the bots' command. */
export interface BotsRun {
  readonly runtime: RuntimeName;
  readonly program: Program;
  /** The words before the program, such as `taskset -c 1`. */
  readonly prefix?: readonly string[];
  /** The arguments of the bots' command. */
  readonly args: readonly (string | number)[];
  /** Milliseconds after which the bots are ended. */
  readonly limitMs: number;
  /** Receives the group of the bots' processes. */
  readonly onSpawn?: (group: ProcessGroup) => void;
  /** Receives their text; `console.log` without it. */
  readonly say?: (text: string) => void;
}

/**
 * Runs bots, and waits for the end of all their processes.
 *
 * @throws {EnvironmentError} (rejects) if the bots write no report.
 */
export function runBots(run: BotsRun): Promise<BotsReport> {
  const command = [
    ...run.prefix ?? [],
    run.program.path,
    ...(run.runtime === "deno" ? [...DENO_TASK, "bots"] : ["run", "bots/main.ts"]),
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
      if (text !== "") (run.say ?? console.log)(text);
      try {
        resolve(JSON.parse(json) as BotsReport);
      } catch {
        const why = isLate ? ` within ${run.limitMs / 1000} s` : "; the lines above say why";
        reject(new EnvironmentError(`the bots wrote no report${why}`));
      }
    });
  });
}
