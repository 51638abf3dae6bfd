/**
 * The bots of this machine, from the options of a run.
 *
 * @module
 */

import { EnvironmentError } from "../../cli/command_line.ts";
import type { SystemFacts } from "../../host/facts.ts";
import type { Runtime } from "../../runtime/types.ts";
import { Fleet } from "../fleet/fleet.ts";
import type { GroupPlan } from "../fleet/group.ts";
import type { BotsOptions } from "./options.ts";
import { chooseProcesses, type Finding, preflight } from "./preflight.ts";
import type { BotsTarget } from "./target.ts";

/** The plan of one machine's bots. */
export type LocalPlan =
  & Pick<
    BotsOptions,
    "n" | "port" | "tls" | "keys" | "retries" | "dialect" | "topic" | "data" | "processes"
  >
  & {
    /** The messages that bots must get when they come back; `null` if they don't say where they were. */
    readonly resumption: GroupPlan["resumption"];
    /** The most bots that may be between connecting and the greeting; absent for the usual number. */
    readonly maxConnecting?: number;
  };

/**
 * Checks this machine, and starts the processes.
 *
 * @param onFindings Receives what this machine has too little of.
 * @throws {EnvironmentError} (rejects) if it can't hold the bots, or if a process can't be started.
 */
export async function startLocalFleet(
  runtime: Runtime,
  plan: LocalPlan,
  { addresses, isLoopback }: BotsTarget,
  facts: SystemFacts,
  onFindings: (findings: readonly Finding[]) => void,
): Promise<Fleet> {
  const { n } = plan;
  const processes = plan.processes === "auto"
    ? chooseProcesses(n, isLoopback, runtime.name, facts)
    : Math.min(plan.processes, n);
  const findings = preflight({ n, processes, addresses: addresses.length, isLoopback }, facts);
  onFindings(findings);
  if (findings.some(({ isFatal }) => isFatal)) {
    throw new EnvironmentError("not started; the lines above say what to change");
  }
  return await Fleet.start(runtime, { ...plan, processes, addresses });
}
