/**
 * The bots of one run, in a process of their own, so that they can run on any runtime. `bots_process.ts`
 * starts it.
 *
 * @module
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { EnvironmentError } from "../../../cli/command_line.ts";
import { detectRuntime } from "../../../runtime/detect.ts";
import { DEFAULT_RETRIES } from "../../../bots/fleet/ramp_up.ts";
import { leaderOptions } from "../../../bots/run/agent_options.ts";
import { measure } from "../../../bots/measure.ts";
import type { BotsOptions } from "../../../bots/run/options.ts";
import { type Finding, findingText } from "../../../bots/run/preflight.ts";
import { clockErrorMs, type RunRecord } from "../../../bots/run/run.ts";
import { score } from "../../../bots/results/score.ts";
import type { BotsTask, BotsWord } from "./bots_protocol.ts";
import { type PackedLatencies, packLatencies } from "../results/samples.ts";

const task = JSON.parse(process.argv[2]!) as BotsTask;
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
await say(await run());
process.exit();

async function run(): Promise<BotsWord> {
  const { agents, ...what } = task;
  const options: BotsOptions = {
    ...what,
    topic: "events",
    tls: null,
    keys: [],
    retries: DEFAULT_RETRIES,
    processes: "auto",
    spread: "auto",
    sloMs: null,
    json: null,
    isVerbose: false,
    agents: agents === null ? null : leaderOptions(agents),
  };
  let latencies: PackedLatencies[] = [];
  const problems: string[] = [];
  try {
    const report = await measure(await detectRuntime(), options, [], {
      onFindings: (findings: readonly Finding[]) => {
        for (const finding of findings) {
          if (finding.isFatal) problems.push(findingText(finding));
        }
      },
      onStart: () => ({ update() {}, stop() {} }),
      onSubscribed: async () => {
        await say({ says: "subscribed" });
        await answers.next();
      },
      onRecord: (record) => latencies = latenciesOf(record),
    });
    return { says: "done", report, latencies };
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    return { says: "failed", why: problems[0] ?? error.message };
  }
}

function latenciesOf(record: RunRecord): PackedLatencies[] {
  const { timeoutMs } = task;
  return record.rounds.map(({ publishedAtMs, groups }) => {
    const times = { publishedAtMs, timeoutMs, clockErrorMs: clockErrorMs(record) };
    return packLatencies(score(groups, times).endToEndMs);
  });
}

function say(word: BotsWord): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write(JSON.stringify(word) + "\n", () => resolve());
  });
}
