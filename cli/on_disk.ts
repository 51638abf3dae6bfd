/**
 * This program by the names that it was started by. An upgrade may have changed what a link names, and
 * what is started then is to be the new one; but runtimes know themselves, and Bun its scripts too, by
 * where a link led when they began.
 *
 * @module
 */

import { readFileSync, realpathSync } from "node:fs";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import process from "node:process";
import { isAllowed, readEnvironment } from "../runtime/permissions.ts";
import { resolvesScriptLinks } from "../runtime/this_process.ts";

/** The runtime's program as it was named, where that can be told: what is at this path may have changed. */
export const NAMED_PROGRAM: string | undefined = attempt(findProgram);

const [REAL_ROOT, NAMED_ROOT] = attempt(findRoots) ?? ["", ""];

/**
 * A script of this program, under the name by which the program's folder was named.
 *
 * @param path Its path as it was when this program began.
 */
export function namedScript(path: string): string {
  const isOurs = path === REAL_ROOT || path.startsWith(`${REAL_ROOT}/`);
  return NAMED_ROOT !== "" && isOurs ? NAMED_ROOT + path.slice(REAL_ROOT.length) : path;
}

function findProgram(): string | undefined {
  const name = process.argv0;
  // Deno would ask its user. What it mustn't look at, it mustn't run either.
  if (!isAllowed({ name: "read" })) return isAbsolute(name) ? name : undefined;
  const folders = name.includes("/") ? [""] : readEnvironment("PATH")?.split(delimiter) ?? [];
  // Other programs may have the name, too.
  return folders.map((folder) => resolve(folder, name)).find((path) => {
    return attempt(() => realpathSync(path)) === process.execPath;
  });
}

/** Where the program's folder is, and how it was named, if that is another path. */
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

/** The working directory, by the name that the shell has for it. */
function namedFolder(): string {
  const name = readEnvironment("PWD") ?? "";
  return attempt(() => realpathSync(name)) === process.cwd() ? name : process.cwd();
}

/** What a function returns; `undefined` where it throws. */
function attempt<Value>(find: () => Value): Value | undefined {
  try {
    return find();
  } catch {
    return undefined;
  }
}
