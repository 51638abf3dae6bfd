/**
 * Starts the bots of one run in a process of their own.
 *
 * @module
 */

import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { ProcessGroup } from "../../../cli/process_group.ts";
import type { BotsReport } from "../../../bots/results/report.ts";
import {
  childEnvironment,
  type Program,
  PROJECT_ROOT,
  type RuntimeName,
} from "../../../cli/program.ts";
import { BOTS_MEMORY_FLAGS, RUN_FLAGS } from "../../../cli/deno_flags.ts";
import type { BotsTask, BotsWord } from "./bots_protocol.ts";
import type { PackedLatencies } from "../results/samples.ts";
import type { Cleanup } from "../../harness/cleanup.ts";

/** The result of a run's bots. */
export type BotsOutcome =
  | {
    readonly report: BotsReport;
    /** The good bots' latencies from publish to arrival, round by round. */
    readonly latencies: readonly PackedLatencies[];
  }
  /** The reason why there is no report, in words that follow "the bots". */
  | { readonly failure: string };

/** The command line of the bots' process on each runtime. */
const COMMANDS: Readonly<Record<RuntimeName, readonly string[]>> = {
  deno: [
    ...[...RUN_FLAGS, BOTS_MEMORY_FLAGS],
    ...["--allow-net", "--allow-run", "--allow-env", "--allow-sys", "--allow-read"],
  ],
  bun: ["run"],
};

const SCRIPT = fileURLToPath(import.meta.resolve("./bots_child.ts"));

/**
 * Milliseconds for a run. The bots give up a setup that stands still by themselves; this limit is for
 * bots that hang.
 */
const PATIENCE_MS = 600_000;

/** The plan of the bots' process. */
export interface BotsPlan {
  readonly runtime: RuntimeName;
  readonly program: Program;
  readonly descriptorLimit: number | null;
  readonly task: BotsTask;
  /** Called when all bots are subscribed, before the first message is published. */
  readonly onSubscribed: () => void;
}

/** Runs bots, and waits for their end. */
export async function runBots(plan: BotsPlan, cleanup: Cleanup): Promise<BotsOutcome> {
  const { runtime, program, task } = plan;
  const env = childEnvironment();
  if (plan.descriptorLimit !== null) env["HOTWHEELS_NOFILE"] = String(plan.descriptorLimit);
  const command = [program.path, ...COMMANDS[runtime], SCRIPT, JSON.stringify(task)];
  const group = ProcessGroup.spawn(command, {
    cwd: PROJECT_ROOT,
    env,
    stdio: ["pipe", "pipe", "inherit"],
  });
  cleanup.add(group);
  const timer = setTimeout(() => group.signal("SIGKILL"), PATIENCE_MS);
  try {
    return await outcomeOf(group.child, plan.onSubscribed);
  } finally {
    clearTimeout(timer);
  }
}

function outcomeOf(child: ChildProcess, onSubscribed: () => void): Promise<BotsOutcome> {
  return new Promise((resolve) => {
    let outcome: BotsOutcome | undefined;
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const word = JSON.parse(line) as BotsWord;
      if (word.says === "subscribed") {
        onSubscribed();
        child.stdin!.write("\n");
      } else if (word.says === "done") outcome = word;
      else outcome = { failure: `could not begin: ${word.why}` };
    });
    // A write to a child that has died fails; the exit is handled below.
    child.stdin!.on("error", () => {});
    child.once("error", (error) => resolve({ failure: `did not start: ${error.message}` }));
    child.once("close", (status, signal) => {
      resolve(
        outcome ?? { failure: `ended without a report, with ${signal ?? `status ${status}`}` },
      );
    });
  });
}
