/**
 * What the operating system allows this process.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { isAllowed, readEnvironment } from "../runtime/permissions.ts";
import { reportedDescriptorLimit } from "../runtime/this_process.ts";

const LIMITS = "/proc/self/limits";

/**
 * How many descriptors this process may have open (`RLIMIT_NOFILE`), if it can be found out.
 *
 * Deno doesn't let a sandboxed program look into `/proc`; the project's tasks therefore pass the
 * shell's `ulimit -n` on in `HOTWHEELS_NOFILE`. Bun has it where there is no `/proc`.
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

/** What `read` finds, or nothing where the platform has no such thing or denies a look at it. */
function wholeNumberOf(read: () => string | undefined): number | undefined {
  try {
    const text = read();
    return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}
