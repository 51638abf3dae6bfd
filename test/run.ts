/**
 * Everything that must hold before a commit: format, lint, types, docs, and every test on both
 * runtimes; see `--help`.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import process from "node:process";
import { findProgram, PROJECT_ROOT, type RuntimeName } from "../bots/program.ts";
import { answer, runCommand } from "../runtime/command.ts";
import { CommandLine } from "../runtime/command_line.ts";

const HELP = `Hotwheels tests: format, lint, types, docs, and every test on Deno and on Bun.

Usage:
  deno task -q test [path ...]
  bun run test/run.ts [path ...]

  path        a file or a folder: only the tests in there, and no other checks

Flags:
  -h, --help  print this
  --version   print the version

The last line adds both runtimes up: "N passed, N failed". The exit status is 0
when nothing failed, 1 when something did, 2 when the command line is wrong.
`;

/** How many tests of a run passed and failed. */
interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

const CHECKS: readonly (readonly string[])[] = [
  ["fmt", "--check"],
  ["lint"],
  ["check", "."],
  ["doc", "--lint", "mod.ts"],
];

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

if (import.meta.main) await runCommand("test", main);

async function main(args: readonly string[]): Promise<number> {
  const line = new CommandLine(args, []);
  if (line.question !== undefined) return answer(line.question, HELP);
  const paths = line.positionals.map((path) => resolve(path));
  process.chdir(PROJECT_ROOT);
  const scratch = mkdtempSync(join(tmpdir(), "hotwheels-test-"));
  try {
    const total: Tally = { passed: 0, failed: 0, skipped: 0 };
    if (paths.length === 0) {
      for (const check of CHECKS) {
        add(total, await run("deno", check) ? { passed: 1 } : { failed: 1 });
      }
    }
    const denoReport = join(scratch, "deno.xml");
    const bunReport = join(scratch, "bun.xml");
    const reporter = ["--reporter=junit", `--reporter-outfile=${bunReport}`];
    // Tests wait more than they work, so both run at once.
    const hearBun = runQuietly("bun", [...BUN_TEST, ...reporter, ...testPaths(paths)]);
    const denoArgs = [...DENO_TEST, `--junit-path=${denoReport}`, ...testPaths(paths)];
    add(total, tallyOf(denoReport, await run("deno", denoArgs)));
    add(total, tallyOf(bunReport, await hearBun()));
    const skipped = total.skipped === 0 ? "" : `, ${total.skipped} skipped`;
    console.log(`\n${total.passed} passed, ${total.failed} failed${skipped}`);
    return total.failed === 0 ? 0 : 1;
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** Bun takes a path as a filter unless it looks like one. */
function testPaths(paths: readonly string[]): readonly string[] {
  return paths.length === 0 ? ["./test"] : paths.map((path) => `./${relative(PROJECT_ROOT, path)}`);
}

/** Runs a command of a runtime; whether it succeeded. */
function run(runtime: RuntimeName, args: readonly string[]): Promise<boolean> {
  announce(runtime, args);
  return succeeds(runtime, spawn(findProgram(runtime).path, args, { stdio: "inherit" }));
}

/**
 * Runs a command that keeps what it says to itself at first, while another one talks.
 *
 * @returns Lets it say that, and the rest as it comes; whether it succeeded.
 */
function runQuietly(runtime: RuntimeName, args: readonly string[]): () => Promise<boolean> {
  const child = spawn(findProgram(runtime).path, args, { stdio: ["ignore", "pipe", "pipe"] });
  let held: Uint8Array[] | null = [];
  for (const output of [child.stdout, child.stderr]) {
    output.on("data", (chunk: Uint8Array) => {
      if (held === null) process.stdout.write(chunk);
      else held.push(chunk);
    });
  }
  const succeeded = succeeds(runtime, child);
  return () => {
    announce(runtime, args);
    for (const chunk of held ?? []) process.stdout.write(chunk);
    held = null;
    return succeeded;
  };
}

function announce(runtime: RuntimeName, args: readonly string[]): void {
  console.log(`\n$ ${runtime} ${args.join(" ")}`);
}

function succeeds(runtime: RuntimeName, child: ChildProcess): Promise<boolean> {
  return new Promise((resolve) => {
    child.once("error", (error) => {
      console.error(`${runtime}: ${error.message}`);
      resolve(false);
    });
    child.once("close", (status) => resolve(status === 0));
  });
}

/**
 * Counts a JUnit report's test cases. Deno lists a group beside its tests; a group counts only where
 * it failed by itself, in a hook.
 */
function tallyOf(report: string, succeeded: boolean): Tally {
  const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
  const cases = existsSync(report) ? casesOf(readFileSync(report, "utf8")) : [];
  const failedNames = cases.filter(({ outcome }) => outcome === "failed").map(({ name }) => name);
  const names = cases.map(({ name }) => name).sort();
  for (const { name, outcome } of cases) {
    const prefix = `${name} &gt; `;
    // Sorted names put a group right before some name that begins with it.
    const isGroup = hasPrefixed(names, prefix);
    if (!isGroup) tally[outcome]++;
    else if (outcome === "failed" && !failedNames.some((other) => other.startsWith(prefix))) {
      tally.failed++;
    }
  }
  // A file that can't be loaded fails the run without a test case.
  if (!succeeded && tally.failed === 0) tally.failed = 1;
  return tally;
}

function casesOf(xml: string): { name: string; outcome: keyof Tally }[] {
  return [...xml.matchAll(/<testcase name="([^"]*)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g)]
    .map(([, name = "", body = ""]) => ({
      name,
      outcome: /<(failure|error)\b/.test(body)
        ? "failed"
        : /<skipped\b/.test(body)
        ? "skipped"
        : "passed",
    }));
}

function hasPrefixed(sortedNames: readonly string[], prefix: string): boolean {
  let low = 0;
  let high = sortedNames.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sortedNames[middle] as string) < prefix) low = middle + 1;
    else high = middle;
  }
  return sortedNames[low]?.startsWith(prefix) ?? false;
}

function add(total: Tally, part: Partial<Tally>): void {
  total.passed += part.passed ?? 0;
  total.failed += part.failed ?? 0;
  total.skipped += part.skipped ?? 0;
}
