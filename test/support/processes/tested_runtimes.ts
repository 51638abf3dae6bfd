/**
 * Whose servers a test starts.
 *
 * @module
 */

import process from "node:process";
import { RUNTIME_NAMES, type RuntimeName } from "../../../cli/program.ts";

/**
 * The runtimes whose servers a test starts: only the one that runs the test, since every test runs on
 * both.
 */
export const TESTED_RUNTIMES: readonly RuntimeName[] = RUNTIME_NAMES.filter((name) => {
  return name in process.versions;
});
