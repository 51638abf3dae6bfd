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
    const { message } = cause as Error;
    throw new EnvironmentError(`can't read ${what}: ${message.split("\n", 1)[0]}`, { cause });
  }
}
