/**
 * Checks everything that n clients need of a machine.
 *
 * @module
 */

import { checkClock } from "../../host/clock_check.ts";
import { serverDescriptorsFor } from "../../host/capacity.ts";
import {
  checkOpenFiles,
  checkServerCapacity,
  descriptorsFor,
} from "../../host/descriptor_checks.ts";
import type { SystemFacts } from "../../host/facts.ts";
import type { Finding } from "../../host/finding.ts";
import { BOTS_COSTS, checkMemory, checkTcpMemory, SERVER_COSTS } from "../../host/memory_checks.ts";
import {
  checkBacklog,
  checkConntrack,
  checkQueueMigration,
  checkSynBacklog,
} from "../../host/network_checks.ts";
import { checkCpuCredits } from "./cpu_credits.ts";
import type { Ec2Instance } from "./ec2_metadata.ts";
import { MAX_CONNECTING } from "../../bots/fleet/ramp_up.ts";
import { botsFindings, chooseProcesses, chooseSpread } from "../../bots/run/preflight.ts";
import type { RuntimeName } from "../../cli/program.ts";

/** The programs that will run on the checked machine. */
export const ROLES = ["both", "server", "bots"] as const;
export type Role = typeof ROLES[number];

/** The load that the machine is checked for. */
export interface CheckupNeed {
  /** Subscribers, all of one address; their publisher is counted on top. */
  readonly n: number;
  readonly role: Role;
  /** The server's processes. */
  readonly workers: number;
  /** The runtime of both. */
  readonly runtime: RuntimeName;
}

/**
 * Checks a machine.
 *
 * @param instance The EC2 instance; `null` on any other machine.
 */
export function checkUp(
  { n, role, workers, runtime }: CheckupNeed,
  facts: SystemFacts,
  instance: Ec2Instance | null,
): Finding[] {
  const isOneMachine = role === "both";
  const server = role === "bots" ? null : { n, processes: workers };
  const bots = role === "server"
    ? null
    : { n, processes: chooseProcesses(n, isOneMachine, runtime, facts) };
  const files = (server === null ? 0 : serverDescriptorsFor(server) * server.processes) +
    (bots === null ? 0 : descriptorsFor(bots) * bots.processes);
  const addresses = isOneMachine ? chooseSpread(n, facts.portRange) : 1;
  const connecting = Math.min(n, MAX_CONNECTING);
  return [
    ...(server === null ? [] : [checkServerCapacity(server, facts)]),
    ...(bots === null ? [] : botsFindings({ ...bots, addresses, isLoopback: isOneMachine }, facts)),
    checkOpenFiles(files, facts),
    ...(server === null
      ? []
      : [checkBacklog(connecting, facts), checkSynBacklog(connecting, facts)]),
    ...(server === null || server.processes === 1 ? [] : [checkQueueMigration(facts)]),
    checkConntrack(n, facts),
    checkMemory({ n, parts: memoryParts(runtime, server, bots) }, facts),
    checkTcpMemory(n, facts),
    checkClock(isOneMachine, facts.clock),
    ...(instance === null ? [] : [checkCpuCredits(instance)]),
  ];
}

function memoryParts(
  runtime: RuntimeName,
  server: { readonly processes: number } | null,
  bots: { readonly processes: number } | null,
) {
  const parts = [];
  if (server !== null) parts.push({ cost: SERVER_COSTS[runtime], processes: server.processes });
  if (bots !== null) {
    // One more process leads several.
    const processes = bots.processes === 1 ? 1 : bots.processes + 1;
    parts.push({ cost: BOTS_COSTS[runtime], processes });
  }
  return parts;
}
