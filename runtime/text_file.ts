/**
 * Reading the files that a command line names.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { EnvironmentError } from "./command_line.ts";
import { demand } from "./permission.ts";

/**
 * A file's text, as UTF-8.
 *
 * @param what How the message calls it, such as `--ca server.crt`.
 * @throws {EnvironmentError} if it can't be read.
 */
export function readTextFile(what: string, path: string): string {
  try {
    demand({ name: "read", path });
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new EnvironmentError(`can't read ${what}: ${reason(cause)}`, { cause });
  }
}

function reason(cause: unknown): string {
  const { code, message } = cause as Error & { readonly code?: unknown };
  if (code === "ENOENT") return "there is no such file";
  return code === "EISDIR" ? "it is a directory" : message.split("\n", 1)[0]!;
}
