/**
 * How a run is shared out, and whether it fits this machine, before it starts: afterwards the system's
 * own words come late and say little.
 *
 * @module
 */

import { checkBotsDescriptors, processesFor } from "../../host/descriptor_checks.ts";
import type { PortRange, SystemFacts, SystemLimits } from "../../host/facts.ts";
import { type Finding, remedyLines } from "../../host/finding.ts";
import { MAX_CONNECTING } from "../fleet/ramp_up.ts";
import { checkBacklog, checkPorts, portsIn } from "../../host/network_checks.ts";

export type { Finding };

/** What a run asks of the machine. */
export interface Need {
  readonly n: number;
  readonly processes: number;
  /** How many addresses the bots connect to. */
  readonly addresses: number;
  /** Whether these are addresses of this machine, to which more can be added. */
  readonly isLoopback: boolean;
}

/**
 * The part of the port range that may be used for one destination so that connecting is brisk; see
 * {@linkcode checkPorts} for why it slows down.
 */
const BRISK_PART = 0.4;

/** Below so many bots one process is always enough, and another would cost more than it gives. */
const MANY_BOTS = 2000;

/**
 * How many bots a Deno process serves briskly. When more sockets become readable than it reads at once
 * (128), Deno asks all the others again in vain, each time: a backlog of 19,000 took it 50 us a message,
 * one of 5,000 took 10. Bun took 5 with either.
 */
const DENO_BOTS = 5000;

/** So many Deno processes a core, at most: each takes 100 MB and more. */
const DENO_PROCESSES_PER_CORE = 8;

/**
 * How many processes to use: as many as the descriptor limit calls for, and as many as there are cores,
 * less one for the server where it's on this machine; on Deno more, see the constants.
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

/** How many loopback addresses make connecting brisk. */
export function chooseSpread(n: number, portRange: PortRange | null): number {
  return Math.ceil(n / (portsIn(portRange) * BRISK_PART));
}

/** Compares what is needed with what there is, and names what isn't fine. */
export function preflight(need: Need, limits: SystemLimits): Finding[] {
  const findings = botsFindings(need, limits);
  if (need.isLoopback) findings.push(checkBacklog(Math.min(need.n, MAX_CONNECTING), limits));
  return findings.filter(({ isFine }) => !isFine);
}

/** What the bots need of the machine that they run on. */
export function botsFindings(
  { n, processes, addresses, isLoopback }: Need,
  limits: SystemLimits,
): Finding[] {
  const spread = isLoopback ? chooseSpread(n, limits.portRange) : null;
  return [
    checkBotsDescriptors({ n, processes }, limits),
    // Their publisher takes a port too.
    checkPorts({ n: n + 1, addresses, spread }, limits),
  ];
}

/** A finding that isn't fine, as lines for people. */
export function findingText(finding: Finding): string {
  const { isFatal, says } = finding;
  const lines = remedyLines(finding).map((line) => `  ${line}`);
  return [`bots: ${isFatal ? "this can't work" : "note"}: ${says}`, ...lines].join("\n");
}
