/**
 * How much of the code the tests run, on each runtime, what they start counted; see `--help`.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import process from "node:process";
import { findProgram, PROJECT_ROOT } from "../cli/program.ts";
import { answer, runCommand } from "../cli/command.ts";
import { CommandLine } from "../cli/command_line.ts";
import { countInChildren } from "./runner/counted_copy.ts";
import { coverageText, LineCoverage, parseBunLines, parseLcov } from "./runner/line_coverage.ts";
import { Checkout } from "./support/processes/checkout.ts";

const HELP = `Hotwheels coverage: how much of the code the tests run, on Deno and on Bun.

Usage:
  deno task -q coverage [path ...]

  path        a file or a folder: only what the tests in there run
  -h, --help  print this
  --version   print the version

The tests run in a copy of this checkout, whose processes count lines, those
too that tests start and that end by themselves. It prints the part of each
folder's lines that ran, and each file of server/ of which less than 85 % did.
The exit status is that of the tests.
`;

/** `deno coverage` gets no more profiles than that at once, which would all be in memory. */
const PROFILES_AT_ONCE = 5_000;

if (import.meta.main) await runCommand("coverage", main);

function main(args: readonly string[]): number {
  const line = new CommandLine(args, []);
  if (line.question !== undefined) return answer(line.question, HELP);
  const scratch = mkdtempSync(join(tmpdir(), "hotwheels-coverage-"));
  const checkout = new Checkout("npm");
  try {
    const deno = join(scratch, "deno");
    const bun = join(scratch, "bun");
    for (const folder of [deno, bun]) mkdirSync(folder);
    const variables = countInChildren(checkout.folder, { deno, bun });
    const paths = line.positionals.map((path) => relative(PROJECT_ROOT, resolve(path)));
    // With a path, no other checks: the copy isn't formatted as it should be.
    if (paths.length === 0) paths.push("test");
    const { status } = spawnSync("sh", ["cli/launch.sh", "task", "-q", "test", ...paths], {
      cwd: checkout.folder,
      // The task would look for the paths in the folder that this command was started in.
      env: { ...process.env, ...variables, INIT_CWD: checkout.folder },
      stdio: "inherit",
    });
    console.log(coverageText({
      deno: denoCoverage(deno, checkout.folder),
      bun: bunCoverage(bun, checkout.folder),
    }));
    return status ?? 1;
  } finally {
    checkout.dispose();
    rmSync(scratch, { recursive: true });
  }
}

/** The coverage that Deno's processes have left in a folder. */
function denoCoverage(folder: string, root: string): LineCoverage {
  const coverage = new LineCoverage();
  const profiles = readdirSync(folder);
  for (let at = 0; at < profiles.length; at += PROFILES_AT_ONCE) {
    const part = join(folder, `part-${at}`);
    mkdirSync(part);
    for (const name of profiles.slice(at, at + PROFILES_AT_ONCE)) {
      renameSync(join(folder, name), join(part, name));
    }
    const report = join(part, "lcov");
    const args = ["coverage", part, "--lcov", `--output=${report}`, `--include=^file://${root}/`];
    const { status, stderr } = spawnSync(findProgram("deno").path, args, {
      cwd: root,
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`deno coverage: ${stderr}`);
    parseLcov(readFileSync(report, "utf8"), root, coverage);
  }
  return coverage;
}

/** The coverage that Bun's processes have left. */
function bunCoverage(folder: string, root: string): LineCoverage {
  const coverage = new LineCoverage();
  for (const name of readdirSync(folder)) {
    parseBunLines(readFileSync(join(folder, name), "utf8"), root, coverage);
  }
  return coverage;
}
