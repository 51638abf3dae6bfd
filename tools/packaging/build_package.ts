/**
 * Builds the package's content; see `--help`.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import denoConfig from "../../deno.json" with { type: "json" };
import manifest from "../../package.json" with { type: "json" };
import { answer, runCommand } from "../../cli/command.ts";
import { CommandLine, EnvironmentError } from "../../cli/command_line.ts";
import { childEnvironment, findProgram, PROJECT_ROOT } from "../../cli/program.ts";

/** The rooms that the package's commands and its library are made of. */
const ROOMS = [
  "protocol",
  "client",
  "runtime",
  "cli",
  "host",
  "server",
  "bots",
  "commands",
  "tools",
];

/** Files that make packages, which have no place in one. */
const LEFT_OUT = /^tools\/packaging\//;

const DIST = join(PROJECT_ROOT, "dist");

/** A string that is the path of a module of ours, as imports and `import.meta.resolve` have it. */
const MODULE_PATH = /"(\/?[\w./-]+)\.ts"/g;

const HELP = `Hotwheels build:package: builds the content of the npm package in dist/.

Usage:
  deno task -q build:package
  bun run tools/packaging/build_package.ts

  -h, --help  print this
  --version   print the version

It holds each module as JavaScript, in the folders of this checkout, the types
of what mod.ts and the client export, the scripts, and the tasks of the
commands. npm pack and npm publish run this first.
`;

if (import.meta.main) await runCommand("build_package", main);

function main(args: readonly string[]): number {
  const line = new CommandLine(args, []);
  if (line.question !== undefined) return answer(line.question, HELP);
  line.upTo(0, "there is nothing to choose");
  rmSync(DIST, { recursive: true, force: true });
  const names = ROOMS.flatMap((room) => filesIn(room)).filter((name) => !LEFT_OUT.test(name));
  const modules = [...names.filter((name) => name.endsWith(".ts")), "mod.ts"];
  transpile(modules);
  for (const name of modules) rewrite(join(DIST, name.replace(/\.ts$/, ".js")), javaScript);
  addTypes();
  for (const name of names.filter((name) => !name.endsWith(".ts"))) {
    const path = join(DIST, name);
    mkdirSync(dirname(path), { recursive: true });
    copyFileSync(join(PROJECT_ROOT, name), path);
    chmodSync(path, statSync(join(PROJECT_ROOT, name)).mode);
  }
  rewrite(
    join(DIST, "cli", "launch.sh"),
    (text) => text.replaceAll(/(\$root\/\S+)\.ts\b/g, "$1.js"),
  );
  writeConfigurations();
  return 0;
}

function filesIn(folder: string): string[] {
  return readdirSync(join(PROJECT_ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? filesIn(path) : [path];
  });
}

function transpile(modules: readonly string[]): void {
  deno(["transpile", "--quiet", "--no-check", "--outdir", DIST, ...modules]);
}

/** A module as JavaScript that finds the others, and the packages without a map of imports. */
function javaScript(text: string): string {
  const imports = Object.entries(denoConfig.imports);
  return text.replaceAll(MODULE_PATH, '"$1.js"').replaceAll(
    /(?<= from )"(@std\/[^"]+)"/g,
    (_, name) => {
      const target = imports.find(([known]) => known === name)?.[1];
      if (target === undefined) throw new EnvironmentError(`deno.json has no import ${name}`);
      return JSON.stringify(target.replace(/^npm:([^@/]+)@[^/]+/, "$1"));
    },
  );
}

/** Adds the types that Deno finds to be public, which name nothing of what the modules use inside. */
function addTypes(): void {
  const scratch = mkdtempSync(join(tmpdir(), "hotwheels-types-"));
  try {
    const archive = join(scratch, "package.tgz");
    deno(["pack", "--quiet", "--allow-dirty", "--no-source-maps", "--output", archive]);
    run("tar", ["-xzf", archive, "-C", scratch]);
    const folder = join(scratch, "package");
    const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
    const types = names.filter((name) => name.endsWith(".d.ts") && !name.startsWith("types"));
    for (const name of types) copyFileSync(join(folder, name), join(DIST, name));
    if (!types.includes("mod.d.ts")) throw new EnvironmentError("deno pack made no mod.d.ts");
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** Writes what modules and scripts read of the project: its version, the runtimes' ones, the tasks. */
function writeConfigurations(): void {
  const { name, version, devDependencies: { bun, deno } } = manifest;
  write("package.json", { name, version, type: "module", engines: { bun, deno } });
  const tasks = Object.entries(denoConfig.tasks)
    .filter(([, line]) => / (?:server|bots|commands|tools)\/\S+\.ts$/.test(line))
    .filter(([name]) => !/^build/.test(name))
    .map(([name, line]) => [name, line.replace(/\.ts$/, ".js")]);
  const { nodeModulesDir, lock, unstable } = denoConfig;
  write("deno.json", { nodeModulesDir, lock, unstable, tasks: Object.fromEntries(tasks) });
}

function write(name: string, value: object): void {
  writeFileSync(join(DIST, name), JSON.stringify(value, null, 2) + "\n");
}

function rewrite(path: string, change: (text: string) => string): void {
  writeFileSync(path, change(readFileSync(path, "utf8")));
}

function deno(args: readonly string[]): void {
  run(findProgram("deno").path, args);
}

function run(program: string, args: readonly string[]): void {
  const options = { cwd: PROJECT_ROOT, env: childEnvironment(), encoding: "utf8" } as const;
  const { status, stderr } = spawnSync(program, args, options);
  if (status !== 0) throw new EnvironmentError(`${program} ${args[0]} failed: ${stderr.trim()}`);
}
