/**
 * Runs the system's tools, which can reach processes that are another program's children. Linux only.
 *
 * @module
 */

import { execFile } from "node:child_process";
import { childEnvironment } from "../../cli/program.ts";

/** Long enough for a machine on which everything else is busy: a soak of hours must not end for it. */
const LIMIT_MS = 60_000;

/** Enough for a line for each of a million connections. */
const MAX_OUTPUT_BYTES = 8 * 1024 * 1024;

/**
 * Runs a tool, and resolves with what it prints.
 *
 * @throws {Error} (rejects) with the tool's own words if it fails, or isn't there.
 */
export function runTool(name: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: childEnvironment(), timeout: LIMIT_MS, maxBuffer: MAX_OUTPUT_BYTES };
    execFile(name, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else if (error.code === "ENOENT") reject(new Error(`there is no ${name}`));
      else reject(new Error(stderr.trim() || error.message, { cause: error }));
    });
  });
}
