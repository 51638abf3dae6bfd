/**
 * Reads the memory that this process may use.
 *
 * @module
 */

import os from "node:os";
import process from "node:process";
import { isAllowed, readEnvironment } from "../runtime/permissions.ts";

/**
 * Bytes of memory of this machine, or of this process's container (control group) if it may use less;
 * `undefined` if it can't be found out.
 *
 * Deno's sandbox doesn't tell the machine's memory; the project's tasks therefore pass on the result of
 * `facts.sh` in `HOTWHEELS_FACTS`.
 *
 * @param facts The value of that variable.
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
