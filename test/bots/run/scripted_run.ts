/**
 * Runs of bots in the test's own process, against a scripted server.
 *
 * @module
 */

import type { Finding } from "../../../bots/run/preflight.ts";
import { measure } from "../../../bots/measure.ts";
import type { BotsOptions } from "../../../bots/run/options.ts";
import type { BotsReport, RoundReport } from "../../../bots/results/report.ts";
import { detectRuntime } from "../../../runtime/detect.ts";
import { type Script, ScriptedServer } from "./scripted_server.ts";

/** The options of a run of a few bots. */
export const OPTIONS: BotsOptions = {
  n: 4,
  dialect: "janus",
  host: "127.0.0.1",
  port: 0,
  tls: null,
  keys: [],
  rounds: 1,
  topic: "events",
  data: "test",
  timeoutMs: 5000,
  retries: 20,
  processes: 1,
  spread: 1,
  sloMs: null,
  json: null,
  isVerbose: false,
  agents: null,
};

/** The results of a run. */
export interface Outcome {
  readonly report: BotsReport;
  readonly server: ScriptedServer;
  readonly findings: readonly Finding[];
}

/** Starts a server, runs bots against it, and stops it; rejects as the run does. */
export async function play(
  script: Script,
  options: Partial<BotsOptions> = {},
): Promise<Outcome> {
  const server = await ScriptedServer.start(script);
  const findings: Finding[] = [];
  try {
    const report = await measure(
      await detectRuntime(),
      { ...OPTIONS, ...options, port: server.port },
      [],
      {
        onFindings: (found) => findings.push(...found),
        onStart: () => ({ update() {}, stop() {} }),
      },
    );
    return { report, server, findings };
  } finally {
    await server.stop();
  }
}

/** The counts of a round that aren't zero. */
export function countsOf(round: RoundReport | undefined): Partial<RoundReport> {
  const { good, bad, missing, duplicate, corrupt, foreign, late, disconnected } = round!;
  const counts = { good, bad, missing, duplicate, corrupt, foreign, late, disconnected };
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
}
