/**
 * What this machine won't allow, said before clients find out.
 *
 * @module
 */

import os from "node:os";
import process from "node:process";
import { checkServerDescriptors } from "../runtime/system/descriptor_checks.ts";
import { type FactSource, readLimits } from "../runtime/system/facts.ts";
import { findingLine } from "../runtime/system/finding.ts";
import { checkBacklog } from "../runtime/system/network_checks.ts";

/** How many clients may come at once before the server accepts the first: a usual backlog. */
const USUAL_BACKLOG = 512;

/** The environment only: to run the script, Deno would ask the user in the middle of a start. */
const SANDBOX: FactSource = { env: (name) => process.env[name], script: () => "" };

/**
 * What keeps the server from serving as many as it's asked to, one line each.
 *
 * @param maxConnections What the command line asks for; without it the limit follows the descriptors.
 * @param runtimeName Which runtime serves.
 */
export function serverWarnings(
  maxConnections: number | undefined,
  workers: number,
  runtimeName: string,
): string[] {
  const limits = runtimeName === "deno" ? readLimits(SANDBOX) : readLimits();
  const findings = [checkBacklog(USUAL_BACKLOG, limits)];
  if (maxConnections !== undefined) {
    findings.unshift(checkServerDescriptors({ n: maxConnections, processes: workers }, limits));
  }
  return findings.filter(({ isFine }) => !isFine).map((finding) => findingLine(finding, os.type()));
}
