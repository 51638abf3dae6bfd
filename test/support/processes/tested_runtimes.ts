/**
 * Whose servers a test starts, and which of both runtimes' runs tries what one of them proves.
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

/**
 * Says which of a test's very many cases are this run's, where the code is the same on both runtimes: every
 * other one, so that both runs together try all.
 */
export function isOwnHalf(at: number): boolean {
  return RUNTIME_NAMES.indexOf(TESTED_RUNTIMES[0]!) === at % RUNTIME_NAMES.length;
}

/**
 * For a test that takes long and starts servers of both runtimes, whichever runs it, so that one of them
 * suffices.
 *
 * @returns the reason why the test is skipped on the other runtime; `false` on this one.
 */
export function leftTo(runtime: RuntimeName): string | false {
  return TESTED_RUNTIMES.includes(runtime) ? false : `the tests on ${runtime} try it`;
}
