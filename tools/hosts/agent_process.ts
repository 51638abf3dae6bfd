/**
 * Runs an agent, which runs bots for the leader of a run, as a process of its own.
 *
 * @module
 */

import { ProcessGroup } from "../../cli/process_group.ts";
import {
  childEnvironment,
  DENO_TASK,
  type Program,
  PROJECT_ROOT,
  type RuntimeName,
} from "../../cli/program.ts";
import { started } from "../harness/started.ts";

/** An agent. */
export interface AgentPlan {
  readonly runtime: RuntimeName;
  readonly program: Program;
  /** The words before the program, such as `taskset -c 1`. */
  readonly prefix: readonly string[];
  /** Its address, as `host:port`. */
  readonly address: string;
  readonly keyFile: string;
  /** The address of the server that its bots may connect to. */
  readonly mayDial: string;
}

/**
 * Starts an agent, and waits until it listens. What it says later is its leader's to tell.
 *
 * @returns (resolves) its processes, which end by {@linkcode ProcessGroup.signal}.
 * @throws {EnvironmentError} (rejects) if it doesn't start.
 */
export async function startAgent(plan: AgentPlan): Promise<ProcessGroup> {
  const { runtime, program, prefix, address, keyFile, mayDial } = plan;
  const command = [
    ...prefix,
    program.path,
    ...(runtime === "deno" ? [...DENO_TASK, "bots"] : ["run", "bots/main.ts"]),
    ...["--agent", address, "--key-file", keyFile, "--may-dial", mayDial],
  ];
  const group = ProcessGroup.spawn(command, {
    cwd: PROJECT_ROOT,
    env: childEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  await started(
    group,
    `the agent at ${address}`,
    (said) => said.includes("an agent listens on") || undefined,
  );
  return group;
}
