/**
 * Builds the server as one executable; see `--help`.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { answer, runCommand } from "../../cli/command.ts";
import { CommandLine, EnvironmentError } from "../../cli/command_line.ts";
import {
  childEnvironment,
  findProgram,
  PROJECT_ROOT,
  RUNTIME_NAMES,
  type RuntimeName,
} from "../../cli/program.ts";
import { complain } from "../../cli/say.ts";

const HELP = `Hotwheels build:executable: builds the server as one executable file, which
needs no runtime and no package where it runs.

Usage:
  deno task -q build:executable [flags]
  bun run tools/packaging/build_executable.ts [flags]

  --runtime R  the runtime that it contains: deno or bun (default: one file for
               each that can be built here)
  --out DIR    the folder for it (default build)
  -h, --help   print this
  --version    print the version

The files are hotwheels-bun and hotwheels-deno. They take the server's flags,
--workers too. Deno's needs the base binary that deno compile fetches, or that
the variable DENORT_BIN names; it may do all that the user may who starts it.

The exit status is 0 if a file was built; 1 if not; 2 if the command line is
wrong.
`;

const MAIN = "server/main.ts";

/** The command that builds an executable, after the runtime's program. */
const BUILD: Readonly<Record<RuntimeName, (file: string) => readonly string[]>> = {
  // Settings come from flags and the environment, not from files where it happens to be started.
  bun: (file) => [
    ...["build", "--compile", "--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"],
    ...["--outfile", file, MAIN],
  ],
  deno: (file) => [
    ...["compile", "--quiet", "--no-check", "--unstable-net", "--v8-flags=--max-semi-space-size=2"],
    ...["--allow-all", "--output", file, MAIN],
  ],
};

if (import.meta.main) await runCommand("build_executable", main);

function main(args: readonly string[]): number {
  const line = new CommandLine(args, ["runtime", "out"]);
  if (line.question !== undefined) return answer(line.question, HELP);
  line.upTo(0, "there are only flags");
  const runtime = line.choice("runtime", RUNTIME_NAMES);
  const folder = resolve(line.text("out") ?? "build");
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    const { message } = cause as Error;
    throw new EnvironmentError(`can't make the folder of --out: ${message}`, { cause });
  }
  const problems: string[] = [];
  const runtimes = runtime === undefined ? RUNTIME_NAMES : [runtime];
  for (const name of runtimes) {
    const problem = build(name, join(folder, `hotwheels-${name}`));
    if (problem !== undefined) problems.push(`no executable with ${name}: ${problem}`);
  }
  if (problems.length === runtimes.length) throw new EnvironmentError(problems.join("; "));
  for (const problem of problems) complain(`build_executable: ${problem}`);
  return 0;
}

/** @returns What went wrong, in a line; `undefined` if the file was built. */
function build(name: RuntimeName, file: string): string | undefined {
  const options = {
    cwd: PROJECT_ROOT,
    env: { ...childEnvironment(), NO_COLOR: "1", DENORT_BIN: process.env["DENORT_BIN"] },
    encoding: "utf8",
  } as const;
  const { status, stderr } = spawnSync(findProgram(name).path, BUILD[name](file), options);
  if (status === 0) {
    console.log(file);
    return undefined;
  }
  const lines = stderr.split("\n");
  // Deno lists its causes, and the last one is the reason.
  const cause = lines.findLast((line) => /^\s*\d+: [^<]/.test(line))?.replace(/^\s*\d+: /, "");
  const reason = cause ?? lines.find((line) => /error/i.test(line)) ?? "it failed without a word";
  const isOffline = name === "deno" && /lookup|connect|fetch|download/i.test(stderr);
  return isOffline
    ? `its base binary can't be fetched (${reason}), and DENORT_BIN names none`
    : reason.replace(/^error: /, "");
}
