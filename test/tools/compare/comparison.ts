/**
 * Comparisons as tests run them.
 *
 * @module
 */

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MetricName, Verdict } from "../../../tools/compare/results/metrics.ts";
import type { CompareReport } from "../../../tools/compare/results/report.ts";
import {
  type CommandProcess,
  type Ended,
  startCommand,
} from "../../support/processes/command_process.ts";
import { type Script, ScriptedServer, stamp } from "../../bots/run/scripted_server.ts";

/** For tests that start processes: a bound that only a test that fails reaches. */
export const PATIENCE = { timeout: 240_000 };

/** A comparison that was made. */
export interface Compared extends Ended {
  /** The files that it wrote, by name. */
  readonly files: readonly string[];
  readonly report: CompareReport | null;
}

/** Starts the command. */
export function startCompare(
  args: readonly (string | number)[],
  env: Readonly<Record<string, string>> = {},
): CommandProcess {
  return startCommand("tools/compare/main.ts", args, { env });
}

/** The comparison, to its end. */
export async function compare(
  args: readonly (string | number)[],
  env: Readonly<Record<string, string>> = {},
): Promise<Compared> {
  return await withFolder(async (folder) => {
    const ended = await startCompare([...args, "--out", folder], env).ended;
    const file = join(folder, "report.json");
    const report = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : null;
    return { ...ended, files: readdirSync(folder).sort(), report };
  });
}

/** Calls the test with a folder that is removed behind it. */
export async function withFolder<T>(test: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "hotwheels-compare-"));
  try {
    return await test(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Calls the test with servers, and the flags that name them `a`, `b` and `c`. */
export async function withServers(
  scripts: readonly Script[],
  test: (targets: string[], servers: readonly ScriptedServer[]) => Promise<void>,
): Promise<void> {
  const servers = await Promise.all(scripts.map((script) => ScriptedServer.start(script)));
  try {
    await test(servers.flatMap(({ port }, at) => target("abc"[at]!, port)), servers);
  } finally {
    for (const server of servers) await server.stop();
  }
}

/**
 * A tenth of a second: bots on a busy machine are themselves late by less than the part of it that
 * would spoil a run.
 */
export const LATE_MS = 100;

/** Sends a message that late. */
export function sendLate(message: string, subscribers: readonly Socket[]): void {
  setTimeout(() => {
    const frame = stamp(message);
    for (const socket of subscribers) socket.write(frame);
  }, LATE_MS);
}

/** A good server, whose runs are valid on a busy machine too. */
export const STEADY: Script = {
  onPublish: ({ message, subscribers }) => sendLate(message, subscribers),
};

/** The status to end with: a busy machine may have spoilt every try of a run that was over too soon. */
export function statusOf({ sizes, options }: CompareReport): number {
  const results = sizes.flatMap(({ arms }) => arms);
  return results.every(({ valid_runs }) => valid_runs >= options.runs) ? 0 : 1;
}

/** The flag that names a server of this machine. */
export function target(name: string, port: number): string[] {
  return ["--target", `${name}=127.0.0.1:${port}`];
}

/** The conclusion on an arm against the first, with the most subscribers. */
export function verdictOn(
  report: CompareReport | null,
  arm: string,
  metric: MetricName = "max_ms",
): Verdict {
  return report!.sizes.at(-1)!.comparisons
    .find((comparison) => comparison.arm === arm && comparison.metric === metric)!.verdict;
}
