/**
 * Reads the descriptor limit of this process.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { isAllowed, readEnvironment } from "../runtime/permissions.ts";
import { reportedDescriptorLimit } from "../runtime/this_process.ts";

const LIMITS = "/proc/self/limits";

/**
 * The number of descriptors that this process may have open (`RLIMIT_NOFILE`); `undefined` if it can't be
 * found out.
 *
 * Deno doesn't let a sandboxed program read `/proc`; the project's tasks therefore pass the shell's
 * `ulimit -n` on in `HOTWHEELS_NOFILE`. Bun reports it on systems without `/proc`.
 */
export function descriptorLimit(): number | undefined {
  return wholeNumberOf(() => readEnvironment("HOTWHEELS_NOFILE")) ??
    wholeNumberOf(() =>
      isAllowed({ name: "read", path: LIMITS })
        ? /^Max open files +(\d+)/m.exec(readFileSync(LIMITS, "utf8"))?.[1]
        : undefined
    ) ??
    wholeNumberOf(reportedDescriptorLimit);
}

/**
 * The result of `read` as a whole number; `undefined` if the platform has no such value, or forbids
 * reading it.
 */
function wholeNumberOf(read: () => string | undefined): number | undefined {
  try {
    const text = read();
    return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}
