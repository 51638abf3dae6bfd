/**
 * Checks before the start what this machine doesn't allow, so that clients don't find out.
 *
 * @module
 */

import os from "node:os";
import { checkServerDescriptors } from "../host/descriptor_checks.ts";
import { EnvironmentError } from "../cli/command_line.ts";
import { leastDescriptorsFor, maxConnectionsFor } from "../host/capacity.ts";
import { descriptorLimit } from "../host/descriptor_limit.ts";
import { readLimits } from "../host/facts.ts";
import { findingLine } from "../host/finding.ts";
import { checkBacklog } from "../host/network_checks.ts";

/** Clients that may come at once before the server accepts the first: a usual backlog. */
const USUAL_BACKLOG = 512;

/**
 * Warnings about what keeps the server from serving as many clients as it is asked to, one line each.
 *
 * @param maxConnections The connections that the command line asks for; `undefined` if it doesn't say.
 */
export function serverWarnings(maxConnections: number | undefined, workers: number): string[] {
  const limits = readLimits();
  const findings = [checkBacklog(USUAL_BACKLOG, limits)];
  if (maxConnections !== undefined) {
    findings.unshift(checkServerDescriptors({ n: maxConnections, processes: workers }, limits));
  }
  const lines = findings.filter(({ isFine }) => !isFine)
    .map((finding) => findingLine(finding, os.type()));
  if (maxConnections === undefined && limits.descriptorLimit === null) {
    lines.unshift(
      `${unknownLimit(workers)}; \`deno task serve\` finds it out, and --max-connections N sets it`,
    );
  }
  return lines;
}

/**
 * Checks that each process has enough descriptors to serve a client. With fewer, clients would hang,
 * connected but silent.
 *
 * @throws {EnvironmentError} if it hasn't.
 */
export function demandDescriptors(workers: number): void {
  const limit = descriptorLimit();
  const least = leastDescriptorsFor(workers);
  if (limit === undefined || limit >= least) return;
  const who = workers === 1 ? "the server needs" : `each of ${workers} workers needs`;
  throw new EnvironmentError(
    `${who} ${least} descriptors at least, and ${limit} are allowed; raise the limit (ulimit -n)`,
  );
}

/** Says how many connections the server accepts if it can't find out the descriptor limit. */
export function unknownLimit(workers: number): string {
  const most = maxConnectionsFor(undefined) * workers;
  return `the descriptor limit isn't known here, so that at most ${most} connections are accepted`;
}
