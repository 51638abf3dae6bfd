import { statSync } from "node:fs";
import process from "node:process";
import { OWN_DESCRIPTORS } from "../../host/capacity.ts";
import { isAllowed } from "../../runtime/permissions.ts";

const DESCRIPTORS = "/proc/self/fd";

/** Seconds of processor time that this process has taken. */
export function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** When this process started, in milliseconds since the Unix epoch. */
export function startedMs(): number {
  return Math.round(performance.timeOrigin);
}

let counts = true;

/**
 * The number of descriptors that this process has open. Linux tells it from 6.2 on, but Deno lets no program
 * with fewer than all permissions ask. Where it can't be asked, it is what the server has opened, and
 * {@linkcode OWN_DESCRIPTORS} for the runtime itself.
 *
 * @param opened The descriptors of connections and links.
 */
export function openDescriptors(opened: number): number {
  const counted = counts ? countDescriptors() : 0;
  counts = counted > 0;
  return counts ? counted : opened + OWN_DESCRIPTORS;
}

function countDescriptors(): number {
  if (!isAllowed({ name: "read", path: DESCRIPTORS })) return 0;
  try {
    return statSync(DESCRIPTORS).size;
  } catch {
    return 0;
  }
}
