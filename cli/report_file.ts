/**
 * Files that a command writes its results to, when it has worked for minutes.
 *
 * @module
 */

import { closeSync, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { EnvironmentError } from "./command_line.ts";
import { demand } from "./permission.ts";
import { isAllowed } from "../runtime/permissions.ts";

/**
 * Asks before the work whether a file can be written. One that is there stays as it is, and none is
 * left behind.
 *
 * @param path As a flag has it; `-`, for standard output, and `null` need no file.
 * @param flag That flag, such as `--json`.
 * @throws {EnvironmentError} if it can't.
 */
export function checkReportFile(path: string | null, flag: string): void {
  if (path === null || path === "-") return;
  try {
    demand({ name: "write", path });
    tryToWrite(path);
  } catch (cause) {
    throw cannotWrite(cause, flag);
  }
}

/**
 * Writes it.
 *
 * @throws {EnvironmentError} if it can't be written.
 */
export function writeReportFile(path: string, text: string, flag: string): void {
  try {
    demand({ name: "write", path });
    writeFileSync(path, text);
  } catch (cause) {
    throw cannotWrite(cause, flag);
  }
}

/** Opens a file as if to write to it; throws if it can't be. */
export function tryToWrite(path: string): void {
  try {
    closeSync(openSync(path, "ax"));
    return rmSync(path);
  } catch (error) {
    if ((error as { code?: string }).code !== "EEXIST") throw error;
  }
  // Who reads from a pipe would take its closing for the end.
  if (!isPipeOrDevice(path)) closeSync(openSync(path, "a"));
}

function isPipeOrDevice(path: string): boolean {
  if (!isAllowed({ name: "read", path })) return false;
  try {
    const found = statSync(path);
    return !found.isFile() && !found.isDirectory();
  } catch {
    // Gone again, or a link to nothing.
    return false;
  }
}

/** In words that name the flag. */
export function cannotWrite(cause: unknown, flag: string): EnvironmentError {
  const { message } = cause as Error;
  return new EnvironmentError(`can't write the report: ${message}; see ${flag}`, { cause });
}
