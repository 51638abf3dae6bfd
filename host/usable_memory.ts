/**
 * The memory that there is for this process.
 *
 * @module
 */

import os from "node:os";
import process from "node:process";
import { isAllowed, readEnvironment } from "../runtime/permissions.ts";

/**
 * Bytes of memory that this machine has, or the container (control group) that this process is in, if
 * that may use less; `undefined` where it can't be found out.
 *
 * Deno's sandbox doesn't tell what the machine has; the project's tasks therefore pass on what
 * `facts.sh` finds, in `HOTWHEELS_FACTS`.
 *
 * @param facts What that variable says.
 */
export function usableMemory(
  facts = readEnvironment("HOTWHEELS_FACTS") ?? "",
): number | undefined {
  const known = /(?:^|,)memory_bytes=(\d+)(?:,|$)/.exec(facts)?.[1];
  if (known !== undefined) return Number(known);
  if (!isAllowed({ name: "sys", kind: "systemMemoryInfo" })) return undefined;
  try {
    const machine = os.totalmem();
    const container = process.constrainedMemory?.() ?? 0;
    return container > 0 ? Math.min(container, machine) : machine;
  } catch {
    return undefined;
  }
}
