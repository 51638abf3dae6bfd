/**
 * Reads the counters of EC2's network adapter (ENA), which tell when an instance's network allowance
 * delayed or dropped packets. If they moved during a run, the run measured the allowance and not the
 * server.
 *
 * @module
 */

import { execFile } from "node:child_process";
import { childEnvironment } from "../../cli/program.ts";

/** The counters' names, as in the ENA driver's documentation in the Linux kernel. */
const COUNTERS = [
  "bw_in_allowance_exceeded",
  "bw_out_allowance_exceeded",
  "pps_allowance_exceeded",
  "conntrack_allowance_exceeded",
  "linklocal_allowance_exceeded",
  "conntrack_allowance_available",
] as const;

/** Counters that make a run invalid: packets were dropped, or connections weren't let through. */
const INVALIDATING = ["pps_allowance_exceeded", "conntrack_allowance_exceeded"] as const;

/**
 * Packets since the driver was loaded that were queued or dropped because the instance's allowance was
 * exceeded: its bandwidth in or out, its packets a second, its tracked connections, its packets to local
 * services. Unlike these, `conntrack_allowance_available` says how many more connections can be tracked;
 * older drivers don't have it.
 */
export type Allowances = Partial<Record<typeof COUNTERS[number], number>>;

/** The result of comparing two readings. */
export interface AllowanceVerdict {
  /** The increase of each counter of exceeded allowances, without those that didn't move. */
  readonly moved: Allowances;
  /** The reasons why the run between the readings is invalid; empty if it is valid. */
  readonly invalidBecause: string[];
}

/**
 * Reads a network device's counters.
 *
 * @param device Such as `ens5`.
 * @param program The program that reads them; `ethtool` unless a test brings its own.
 * @returns `null` if they can't be read: another driver, no such program, or no permission.
 */
export async function readAllowances(
  device: string | null,
  program = "ethtool",
): Promise<Allowances | null> {
  if (device === null) return null;
  // Its folder isn't on every user's PATH.
  for (const path of program.includes("/") ? [program] : [program, `/usr/sbin/${program}`]) {
    const counters = parseAllowances(await output(path, ["-S", device]));
    if (counters !== null) return counters;
  }
  return null;
}

/** Compares two readings. If one is missing, the run counts as valid. */
export function judgeAllowances(
  before: Allowances | null,
  after: Allowances | null,
): AllowanceVerdict {
  const moved: Allowances = {};
  for (const name of COUNTERS) {
    const difference = (after?.[name] ?? NaN) - (before?.[name] ?? NaN);
    if (name.endsWith("_exceeded") && difference !== 0 && !Number.isNaN(difference)) {
      moved[name] = difference;
    }
  }
  const invalidBecause = INVALIDATING.filter((name) => moved[name] !== undefined).map((name) =>
    `the instance's network allowance was exceeded: ${name} moved by ${moved[name]}`
  );
  return { moved, invalidBecause };
}

function parseAllowances(text: string): Allowances | null {
  const counters: Allowances = {};
  for (const name of COUNTERS) {
    const value = new RegExp(`^\\s*${name}: (\\d+)\\s*$`, "m").exec(text)?.[1];
    if (value !== undefined) counters[name] = Number(value);
  }
  return Object.keys(counters).length === 0 ? null : counters;
}

/** Returns the output of a program; an empty text if it can't run. */
function output(path: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    try {
      const options = { env: childEnvironment(), timeout: 5000, maxBuffer: 1024 * 1024 };
      execFile(path, args, options, (error, stdout) => resolve(error === null ? stdout : ""));
    } catch {
      resolve(""); // the sandbox forbids starting it
    }
  });
}
