/**
 * Finds the paths by which this program was started. After an upgrade a link may lead to a new version,
 * and new processes must run that one; but runtimes know themselves, and Bun its scripts too, by the file
 * to which a link led at the start.
 *
 * @module
 */

import { readFileSync, realpathSync } from "node:fs";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import process from "node:process";
import { isAllowed, readEnvironment } from "../runtime/permissions.ts";
import { resolvesScriptLinks } from "../runtime/this_process.ts";

/**
 * The path by which the runtime was started, if it can be found out. The file at this path may have
 * changed since.
 */
export const NAMED_PROGRAM: string | undefined = attempt(findProgram);

const [REAL_ROOT, NAMED_ROOT] = attempt(findRoots) ?? ["", ""];

/**
 * The path of a script of this program, with the folder named as it was at the start.
 *
 * @param path The script's path when this program started.
 */
export function namedScript(path: string): string {
  const isOurs = path === REAL_ROOT || path.startsWith(`${REAL_ROOT}/`);
  return NAMED_ROOT !== "" && isOurs ? NAMED_ROOT + path.slice(REAL_ROOT.length) : path;
}

function findProgram(): string | undefined {
  const name = process.argv0;
  // Don't let Deno ask the user. A program that may not be read may not be run either.
  if (!isAllowed({ name: "read" })) return isAbsolute(name) ? name : undefined;
  const folders = name.includes("/") ? [""] : readEnvironment("PATH")?.split(delimiter) ?? [];
  // Other programs may have the same name.
  return folders.map((folder) => resolve(folder, name)).find((path) => {
    return attempt(() => realpathSync(path)) === process.execPath;
  });
}

/** The program's folder, and its name at the start if that is another path. */
function findRoots(): readonly [string, string] | undefined {
  if (!resolvesScriptLinks() || process.platform !== "linux") return undefined;
  const main = process.argv[1] ?? "";
  const [, ...args] = readFileSync("/proc/self/cmdline", "utf8").split("\0");
  const named = args.map((arg) => resolve(namedFolder(), arg))
    .find((path) => path !== main && attempt(() => realpathSync(path)) === main);
  if (named === undefined) return undefined;
  const real = main.split("/");
  const names = named.split("/");
  while (names.length > 1 && real.at(-1) === names.at(-1)) {
    real.pop();
    names.pop();
  }
  return [join("/", ...real), join("/", ...names)];
}

/** The working directory, by the shell's name for it. */
function namedFolder(): string {
  const name = readEnvironment("PWD") ?? "";
  return attempt(() => realpathSync(name)) === process.cwd() ? name : process.cwd();
}

/** The function's result; `undefined` if it throws. */
function attempt<Value>(find: () => Value): Value | undefined {
  try {
    return find();
  } catch {
    return undefined;
  }
}
