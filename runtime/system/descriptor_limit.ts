/**
 * What the operating system allows this process.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import process from "node:process";

/**
 * How many descriptors this process may have open (`RLIMIT_NOFILE`), if it can be found out.
 *
 * Deno doesn't let a sandboxed program look into `/proc`; the project's tasks therefore pass the
 * shell's `ulimit -n` on in `HOTWHEELS_NOFILE`.
 */
export function descriptorLimit(): number | undefined {
  return wholeNumberOf(() => process.env["HOTWHEELS_NOFILE"]) ??
    wholeNumberOf(() =>
      /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1]
    );
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
