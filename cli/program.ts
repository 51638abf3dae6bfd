/**
 * Finds the programs that run this project.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { delimiter } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { EnvironmentError } from "./command_line.ts";
import { isCompiled } from "../runtime/this_process.ts";
import { demand } from "./permission.ts";
import { isAllowed } from "../runtime/permissions.ts";

/** Both runtimes, in the order in which reports name them. */
export const RUNTIME_NAMES = ["deno", "bun"] as const;
export type RuntimeName = typeof RUNTIME_NAMES[number];

/** The project's folder, with a slash behind it. */
export const PROJECT_ROOT = fileURLToPath(import.meta.resolve("../"));

/**
 * Deno's arguments for a task of the project, whose folder has to be the working directory. Where the
 * project is a package in `node_modules`, Deno doesn't look for its configuration by itself.
 */
export const DENO_TASK = ["task", "-q", "--config", "deno.json"] as const;

/** The program of a runtime. */
export interface Program {
  readonly path: string;
  readonly version: string;
}

/** The environment of child processes: enough to find the runtimes and their caches. */
export function childEnvironment(): Record<string, string | undefined> {
  for (const variable of ["PATH", "HOME"]) demand({ name: "env", variable });
  return { PATH: process.env["PATH"], HOME: process.env["HOME"] };
}

/** The script that asks a runtime for its real path and its version. */
const QUESTION = (name: RuntimeName) =>
  `console.log(JSON.stringify([process.execPath, process.versions.${name}]))`;

/** The flags that run such a script. */
const ASK: Readonly<Record<RuntimeName, readonly string[]>> = {
  deno: ["eval", "--quiet", "--no-config"],
  bun: ["-e"],
};

const found = new Map<RuntimeName, Program>();

/**
 * Finds a runtime's own program: the one that runs this process, else the project's, else the first on
 * the PATH. Wrappers, such as npm's or a version manager's script, are resolved, since they may pass no
 * signals on. Programs that don't work are skipped, such as the stub that is left if a package's install
 * script wasn't run.
 *
 * @throws {EnvironmentError} if there is none.
 */
export function findProgram(name: RuntimeName): Program {
  const running = process.versions[name];
  if (running !== undefined && !isCompiled()) return { path: process.execPath, version: running };
  const known = found.get(name);
  if (known !== undefined) return known;
  for (const path of candidates(name)) {
    const program = ask(name, path);
    if (program === null) continue;
    found.set(name, program);
    return program;
  }
  demand({ name: "run" });
  throw new EnvironmentError(
    `${name} is neither in node_modules nor on the PATH; \`npm install ${name}\` installs it`,
  );
}

/** The paths where a runtime may be, the likeliest first. */
function candidates(name: RuntimeName): string[] {
  const modules = `${PROJECT_ROOT}node_modules`;
  const folders = (childEnvironment()["PATH"] ?? "").split(delimiter).map((folder) =>
    folder || "."
  );
  return [
    `${modules}/.bin/${name}`,
    // Beside the project, where that is a package.
    `${PROJECT_ROOT}../../.bin/${name}`,
    // In a flat node_modules, or where Deno or pnpm put indirect dependencies.
    ...["", "/.deno/node_modules", "/.pnpm/node_modules"].flatMap((folder) =>
      platformPackages(name).map((path) => `${modules}${folder}/${path}`)
    ),
    ...folders.map((folder) => `${folder}/${name}`),
  ];
}

function platformPackages(name: RuntimeName): string[] {
  const { platform, arch } = process;
  if (name === "deno") {
    return [`@deno/${platform}-${arch}${platform === "linux" ? "-glibc" : ""}/deno`];
  }
  const plain = `@oven/bun-${platform}-${arch === "arm64" ? "aarch64" : arch}`;
  return [`${plain}/bin/bun`, `${plain}-musl/bin/bun`];
}

function ask(name: RuntimeName, path: string): Program | null {
  if (!isAllowed({ name: "run", command: path })) return null;
  const options = { env: childEnvironment(), encoding: "utf8" } as const;
  const { status, stdout } = spawnSync(path, [...ASK[name], QUESTION(name)], options);
  if (status !== 0) return null;
  try {
    const [real, version] = JSON.parse(stdout) as [string, string];
    return { path: real, version };
  } catch {
    return null;
  }
}
