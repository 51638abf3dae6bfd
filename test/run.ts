/**
 * Everything that must hold before a commit: format, lint, types, docs, and every test on both
 * runtimes; see `--help`.
 *
 * @module
 */

import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join, normalize, resolve } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { findProgram, type RuntimeName } from "../cli/program.ts";
import { answer, runCommand } from "../cli/command.ts";
import { CommandLine } from "../cli/command_line.ts";
import { checkReportFile, writeReportFile } from "../cli/report_file.ts";
import { type Finished, type Job, JobQueue } from "./runner/job_queue.ts";
import { quickTypeCheck } from "./runner/quick_type_check.ts";
import { type Tally, tallyOf } from "./runner/tally.ts";
import { findTestFiles, fromRoot, type TestFile } from "./runner/test_files.ts";
import { descendants, signalAll } from "./support/processes/process_tree.ts";

const HELP = `Hotwheels tests: format, lint, types, docs, and every test on Deno and on Bun.

Usage:
  deno task -q test [path ...]
  bun run test/run.ts [path ...]

  path        a file or a folder: only the tests in there, and no other checks

Flags:
  --quick     leave out the fuzz tests, and those that start servers or other
              processes, and check types with Bun, which takes a tenth of the
              time; deno task ok is this, and takes about a minute
  --jobs n    how many test processes may run at once (default: two for each
              core); one that loads the machine counts as two
  --json FILE write what each test process took, and the sums, as JSON to FILE
  -h, --help  print this
  --version   print the version

The last line adds both runtimes up: "N passed, N failed". The exit status is 0
when nothing failed, 1 when something did, 2 when the command line is wrong.
`;

/** A check, or the tests of some files on one runtime. */
interface TestJob extends Job {
  /** The file for the tests' results; `null` for a check. */
  readonly report: string | null;
}

const CHECKS: readonly (readonly string[])[] = [
  ["fmt", "--check"],
  ["lint"],
  ["doc", "--lint", "mod.ts", "client/mod.ts", "client/browser.ts"],
];

const TYPE_CHECK = ["check", "."];

const DENO_TEST = [
  "test",
  "--no-check",
  "--allow-net",
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-run",
  "--allow-sys",
];

/** A test that has no limit of its own; Bun's 5 s would be a bet on the machine. */
const BUN_TEST = ["test", "--timeout", "60000"];

/** Tests wait more than they work. */
const JOBS_PER_CORE = 2;

/** More would take each other's connections and memory, however many cores there are. */
const MAX_DEFAULT_JOBS = 8;

/** More quiet files than that in a process would be what the others end by waiting for. */
const MAX_QUIET_FILES = 4;

/** The number of jobs that are named because they take longest, or work most. */
const NAMED = 8;

/** Milliseconds for processes to end that were asked to. */
const END_PATIENCE_MS = 2_000;

if (import.meta.main) await runCommand("test", main);

async function main(args: readonly string[]): Promise<number> {
  const line = new CommandLine(args, ["jobs", "json"], ["quick"]);
  if (line.question !== undefined) return answer(line.question, HELP);
  const slots = line.number("jobs", 1, 1_000) ??
    Math.min(availableParallelism() * JOBS_PER_CORE, MAX_DEFAULT_JOBS);
  const json = line.text("json") ?? null;
  checkReportFile(json, "--json");
  const paths = line.positionals.map((path) => fromRoot(resolve(path)));
  const scratch = mkdtempSync(join(tmpdir(), "hotwheels-test-"));
  endOnSignals(scratch);
  try {
    const files = findTestFiles(paths.length === 0 ? ["test"] : paths)
      .filter(({ startsServers, isFuzz }) => !line.has("quick") || !startsServers && !isFuzz);
    const checks = paths.length === 0 ? checkJobs(line.has("quick"), scratch) : [];
    const jobs = [...checks, ...testJobs(files, scratch)];
    return conclude(await new JobQueue(jobs, slots).run(), json);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

function checkJobs(isQuick: boolean, scratch: string): TestJob[] {
  const deno = findProgram("deno").path;
  const byDeno = [...CHECKS, ...isQuick ? [] : [TYPE_CHECK]]
    .map((args) => ({ title: `deno ${args.join(" ")}`, command: [deno, ...args] }));
  const all = isQuick ? [quickTypeCheck(scratch), ...byDeno] : byDeno;
  return all.map((check) => ({ ...check, slots: 1, report: null }));
}

/** Each file that takes long has a process of its own; others share one with some of the same room. */
function testJobs(files: readonly TestFile[], scratch: string): TestJob[] {
  const groups = new Map<string, TestFile[]>();
  for (const file of files) {
    const key = file.startsServers || file.isFuzz
      ? file.path
      : `${roomOf(file.path)} ${file.runtimes} ${file.waits}`;
    groups.set(key, [...groups.get(key) ?? [], file]);
  }
  const parts = [...groups.values()].flatMap((group) => {
    const count = Math.ceil(group.length / MAX_QUIET_FILES);
    return Array.from({ length: count }, (_, at) => group.filter((_, i) => i % count === at));
  });
  return parts.flatMap((group, at) =>
    group[0]!.runtimes.map((runtime) =>
      testJob(runtime, group, join(scratch, `${runtime}-${at}.xml`))
    )
  );
}

function testJob(runtime: RuntimeName, files: readonly TestFile[], report: string): TestJob {
  // Bun takes a path as a filter unless it looks like one.
  const paths = files.map(({ path }) => `./${path}`);
  const flags = runtime === "deno"
    ? [...DENO_TEST, `--junit-path=${report}`]
    : [...BUN_TEST, "--reporter=junit", `--reporter-outfile=${report}`];
  return {
    title: `${runtime} test ${nameOf(paths)}`,
    command: [findProgram(runtime).path, ...flags, ...paths],
    slots: files.some(({ isHeavy }) => isHeavy)
      ? JOBS_PER_CORE
      : files.every(({ waits }) => waits)
      ? 0
      : 1,
    report,
  };
}

function nameOf(paths: readonly string[]): string {
  const [path = ""] = paths;
  if (paths.length === 1) return path;
  const isOneFolder = paths.every((other) => dirname(other) === dirname(path));
  return `${isOneFolder ? dirname(path) : `./${roomOf(path)}`} (${paths.length} files)`;
}

/** The folder of the tests of one of the project's rooms, whichever of its own rooms a file is in. */
function roomOf(path: string): string {
  return normalize(dirname(path)).split("/").slice(0, 2).join("/");
}

/** Says what failed and what took long, and adds up; the exit status. */
function conclude(finished: readonly Finished<TestJob>[], json: string | null): number {
  const results = finished.map(({ job, succeeded, seconds, workSeconds }) => {
    const { title, report } = job;
    const failed = succeeded ? [] : [{ name: "the check", lines: [] }];
    const tally: Tally = report === null
      ? { passed: succeeded ? 1 : 0, skipped: 0, failed }
      : tallyOf(report, succeeded);
    return { title, seconds, workSeconds: workSeconds ?? 0, ...tally };
  });
  const failures = results.flatMap(({ title, failed }) =>
    failed.map(({ name, lines }) => [`${title}: ${name}`, ...lines].join("\n    "))
  );
  const sum = (pick: (result: typeof results[number]) => number) =>
    results.reduce((total, result) => total + pick(result), 0);
  for (
    const [what, pick] of [
      ["slowest", ({ seconds }) => seconds],
      ["most work for processors", ({ workSeconds }) => workSeconds],
    ] as [string, (result: typeof results[number]) => number][]
  ) {
    if (sum(pick) === 0) continue;
    console.log(`\n${what}, of ${sum(pick).toFixed(0)} s in all:`);
    for (const result of results.toSorted((a, b) => pick(b) - pick(a)).slice(0, NAMED)) {
      console.log(`${pick(result).toFixed(1).padStart(6)} s ${result.title}`);
    }
  }
  if (failures.length > 0) console.log(`\nfailed:\n  ${failures.join("\n  ")}`);
  const passed = sum((tally) => tally.passed);
  const skipped = sum((tally) => tally.skipped);
  if (json !== null) {
    const jobs = results.map(({ title, seconds, workSeconds, ...tally }) => ({
      title,
      seconds,
      work_seconds: workSeconds,
      ...tally,
    }));
    const report = { passed, failed: failures.length, skipped, jobs };
    writeReportFile(json, JSON.stringify(report) + "\n", "--json");
  }
  const more = skipped === 0 ? "" : `, ${skipped} skipped`;
  console.log(`\n${passed} passed, ${failures.length} failed${more}`);
  return failures.length === 0 ? 0 : 1;
}

/** A signal ends all that the tests have started, whatever process group it has, and then this process. */
function endOnSignals(scratch: string): void {
  let isEnding = false;
  for (const [signal, number] of [["SIGINT", 2], ["SIGTERM", 15], ["SIGHUP", 1]] as const) {
    process.on(signal, async () => {
      if (isEnding) return;
      isEnding = true;
      const all = descendants(process.pid).map(({ pid }) => pid);
      signalAll(all, "SIGTERM");
      await sleep(END_PATIENCE_MS);
      signalAll([...all, ...descendants(process.pid).map(({ pid }) => pid)], "SIGKILL");
      rmSync(scratch, { recursive: true, force: true });
      process.exit(128 + number);
    });
  }
}
