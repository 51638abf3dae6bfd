/**
 * Finding the programs that run this project.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { EnvironmentError } from "../runtime/command_line.ts";

/** Both runtimes, in the order in which reports name them. */
export const RUNTIME_NAMES = ["deno", "bun"] as const;
export type RuntimeName = typeof RUNTIME_NAMES[number];

/** The project's folder, with a slash behind it. */
export const PROJECT_ROOT = fileURLToPath(import.meta.resolve("../"));

/** The program of a runtime. */
export interface Program {
  readonly path: string;
  readonly version: string;
}

/** What children get of the environment: enough to find the runtimes and their caches. */
export function childEnvironment(): Record<string, string | undefined> {
  return { PATH: process.env["PATH"], HOME: process.env["HOME"] };
}

/**
 * Finds a runtime; the project's own comes before the system's.
 *
 * @throws {EnvironmentError} if there is none.
 */
export function findProgram(name: RuntimeName): Program {
  for (const path of [`${PROJECT_ROOT}node_modules/.bin/${name}`, name]) {
    const options = { env: childEnvironment(), encoding: "utf8" } as const;
    const { status, stdout } = spawnSync(path, ["--version"], options);
    const version = /\d+\.\d+\.\d+/.exec(stdout ?? "")?.[0];
    if (status === 0 && version !== undefined) return { path, version };
  }
  throw new EnvironmentError(
    `${name} is neither in node_modules nor on the PATH; \`npm ci\` installs it`,
  );
}
