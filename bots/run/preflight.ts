/**
 * Chooses the number of processes and addresses of a run, and checks before it starts whether it fits
 * this machine. The system's own errors would come later and say less.
 *
 * @module
 */

import { checkBotsDescriptors, processesFor } from "../../host/descriptor_checks.ts";
import type { PortRange, SystemFacts, SystemLimits } from "../../host/facts.ts";
import { type Finding, remedyLines } from "../../host/finding.ts";
import { MAX_CONNECTING } from "../fleet/ramp_up.ts";
import { checkBacklog, checkPorts, portsIn } from "../../host/network_checks.ts";

export type { Finding };

/** The resources that a run needs. */
export interface Need {
  readonly n: number;
  readonly processes: number;
  /** The number of addresses that the bots connect to. */
  readonly addresses: number;
  /** True if these are loopback addresses, to which more can be added. */
  readonly isLoopback: boolean;
}

/**
 * The share of the port range to use for one destination, so that connecting is fast; {@linkcode
 * checkPorts} says why it slows down.
 */
const BRISK_PART = 0.4;

/** One process is enough for fewer bots; another would cost more than it gives. */
const MANY_BOTS = 2000;

/**
 * The number of bots that a Deno process handles fast. When more sockets become readable than it reads at
 * once (128), Deno polls all the others again in vain, each time: a backlog of 19,000 took it 50 us a
 * message, one of 5,000 took 10. Bun took 5 with either.
 */
const DENO_BOTS = 5000;

/** The most Deno processes for each core: each takes 100 MB and more. */
const DENO_PROCESSES_PER_CORE = 8;

/**
 * The number of processes to use: as many as the descriptor limit calls for, and as many as there are
 * cores, less one for a server on this machine. On Deno more; see the constants.
 */
export function chooseProcesses(
  n: number,
  isLoopback: boolean,
  runtimeName: string,
  facts: Pick<SystemFacts, "descriptorLimit" | "cores">,
): number {
  const { cores } = facts;
  const ours = Math.max(isLoopback ? cores - 1 : cores, 1);
  const forCores = Math.min(ours, Math.max(Math.floor(n / MANY_BOTS), 1));
  const forRuntime = runtimeName === "deno"
    ? Math.min(Math.ceil(n / DENO_BOTS), cores * DENO_PROCESSES_PER_CORE)
    : 1;
  return Math.max(processesFor(n, facts), forCores, forRuntime);
}

/** The number of loopback addresses with which connecting is fast. */
export function chooseSpread(n: number, portRange: PortRange | null): number {
  return Math.ceil(n / (portsIn(portRange) * BRISK_PART));
}

/** Checks a run against this machine's limits, and returns the findings that aren't fine. */
export function preflight(need: Need, limits: SystemLimits): Finding[] {
  const findings = botsFindings(need, limits);
  if (need.isLoopback) findings.push(checkBacklog(Math.min(need.n, MAX_CONNECTING), limits));
  return findings.filter(({ isFine }) => !isFine);
}

/** All checks of the machine that the bots run on, with those that are fine. */
export function botsFindings(
  { n, processes, addresses, isLoopback }: Need,
  limits: SystemLimits,
): Finding[] {
  const spread = isLoopback ? chooseSpread(n, limits.portRange) : null;
  return [
    checkBotsDescriptors({ n, processes }, limits),
    // The publisher needs a port too.
    checkPorts({ n: n + 1, addresses, spread }, limits),
  ];
}

/** A finding that isn't fine, as lines for people. */
export function findingText(finding: Finding): string {
  const { isFatal, says } = finding;
  const lines = remedyLines(finding).map((line) => `  ${line}`);
  return [`bots: ${isFatal ? "this can't work" : "note"}: ${says}`, ...lines].join("\n");
}
