/**
 * Reads the files that a command line names.
 *
 * @module
 */

import { readFileSync, statSync } from "node:fs";
import process from "node:process";
import { EnvironmentError } from "./command_line.ts";
import { demand } from "./permission.ts";

/**
 * Reads a file as UTF-8 text.
 *
 * @param what The file's name in the message, such as `--ca server.crt`.
 * @throws {EnvironmentError} if it can't be read.
 */
export function readTextFile(what: string, path: string): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(readFile(what, path));
}

/**
 * Reads a file's bytes.
 *
 * @param what The file's name in the message.
 * @throws {EnvironmentError} if it can't be read.
 */
export function readFile(what: string, path: string): Uint8Array {
  try {
    demand({ name: "read", path });
    return readFileSync(path);
  } catch (cause) {
    throw new EnvironmentError(`can't read ${what}: ${reason(cause)}`, { cause });
  }
}

/** True if every user of this machine may read a file, as far as its mode tells. */
export function isReadByAll(path: string): boolean {
  // Windows shows a mode that means nothing.
  if (process.platform === "win32") return false;
  return ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o004) !== 0;
}

function reason(cause: unknown): string {
  const { code, message } = cause as Error & { readonly code?: unknown };
  if (code === "ENOENT") return "there is no such file";
  return code === "EISDIR" ? "it is a directory" : message.split("\n", 1)[0]!;
}
