/**
 * Checks and writes the files with a command's results. Checks come first, because the work may take
 * minutes.
 *
 * @module
 */

import { closeSync, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { EnvironmentError } from "./command_line.ts";
import { demand } from "./permission.ts";
import { isAllowed } from "../runtime/permissions.ts";

/**
 * Checks before the work whether a file can be written. An existing file stays as it is, and no new one
 * is left behind.
 *
 * @param path The flag's value; `-`, for standard output, and `null` need no file.
 * @param flag That flag, such as `--json`.
 * @throws {EnvironmentError} if it can't be written.
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
 * Writes a report.
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

/** Opens a file for writing and closes it again. Throws if that fails. */
export function tryToWrite(path: string): void {
  try {
    closeSync(openSync(path, "ax"));
    return rmSync(path);
  } catch (error) {
    if ((error as { code?: string }).code !== "EEXIST") throw error;
  }
  // The reader of a pipe would take its closing for the end.
  if (!isPipeOrDevice(path)) closeSync(openSync(path, "a"));
}

function isPipeOrDevice(path: string): boolean {
  if (!isAllowed({ name: "read", path })) return false;
  try {
    const found = statSync(path);
    return !found.isFile() && !found.isDirectory();
  } catch {
    // The file is gone, or it is a link to nothing.
    return false;
  }
}

/** The error for a report that can't be written. Its message names the flag. */
export function cannotWrite(cause: unknown, flag: string): EnvironmentError {
  const { message } = cause as Error;
  return new EnvironmentError(`can't write the report: ${message}; see ${flag}`, { cause });
}
