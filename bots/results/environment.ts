import manifest from "../../package.json" with { type: "json" };
import { withoutKeys } from "../client/keys.ts";
import type { SystemFacts } from "../../host/facts.ts";
import type { Runtime } from "../../runtime/types.ts";
import type { EnvironmentReport } from "./report.ts";

/**
 * This machine and this runtime, for a report.
 *
 * @param args The command line.
 */
export function environmentReport(
  runtime: Runtime,
  facts: SystemFacts,
  args: readonly string[],
): EnvironmentReport {
  return {
    runtime: runtime.name,
    runtime_version: runtime.version,
    hotwheels_version: manifest.version,
    os: facts.os,
    os_release: facts.osRelease,
    architecture: facts.architecture,
    cpu_model: facts.cpuModel,
    cores: facts.cores,
    descriptor_limit: facts.descriptorLimit,
    port_range: facts.portRange === null ? null : { ...facts.portRange },
    max_backlog: facts.maxBacklog,
    arguments: withoutKeys(args),
  };
}
