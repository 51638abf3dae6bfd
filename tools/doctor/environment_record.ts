/**
 * Records where and how something was measured, so that a reader can repeat it, or see why it can't be
 * compared.
 *
 * @module
 */

import manifest from "../../package.json" with { type: "json" };
import type { Runtime } from "../../runtime/types.ts";
import { readAllFacts, type SystemFacts } from "../../host/facts.ts";
import { metadataEndpoint, readInstance } from "./ec2_metadata.ts";
import { type Allowances, readAllowances } from "./ena_allowances.ts";
import { findProgram, RUNTIME_NAMES, type RuntimeName } from "../../cli/program.ts";

/** The record as it stands in JSON reports. `null` stands for what couldn't be found out. */
export interface EnvironmentRecord {
  /** The time by the system's clock, in ISO 8601. */
  recorded_at: string;
  hotwheels_version: string;
  /** The commit, with `-modified` behind it if files differ from it. */
  commit: string | null;
  /** The command's name and its arguments. */
  command_line: string[];
  /** The seed of the run's random choices. */
  seed: number | null;
  /** The version of each runtime that this checkout uses. */
  runtimes: Record<RuntimeName, string | null>;
  os: string;
  kernel: string | null;
  architecture: string;
  cpu_model: string | null;
  /** The number of threads that the machine runs at once. */
  cores: number;
  memory_bytes: number | null;
  descriptor_limit: number | null;
  /** The ports of outgoing connections; both ends belong to it. */
  port_range: { first: number; last: number } | null;
  /** `somaxconn`. */
  max_backlog: number | null;
  syn_backlog: number | null;
  syn_cookies: boolean | null;
  /** `tcp_mem` in bytes. */
  tcp_memory: { pressure_bytes: number; max_bytes: number } | null;
  congestion_control: string | null;
  /** `null` also if no firewall tracks connections. */
  conntrack: { used: number; max: number } | null;
  clock: { synchronized: boolean; max_error_ms: number | null } | null;
  /** `null` unless it was asked for. */
  ec2: Ec2Record | null;
}

/**
 * The instance on which the command ran: with the bots, and with the server if the command started it.
 */
export interface Ec2Record {
  instance_type: string | null;
  availability_zone: string | null;
  ami_id: string | null;
  network_device: string | null;
  allowances_before: Allowances | null;
  /** The command fills this in after measuring; see {@linkcode readAllowances}. */
  allowances_after: Allowances | null;
}

/** The options of {@linkcode recordEnvironment}. */
export interface EnvironmentOptions {
  /** The runtime that runs this. */
  readonly runtime: Runtime;
  /** The command's name and what followed it. */
  readonly commandLine: readonly string[];
  readonly seed: number | null;
  /** Also asks EC2's metadata service and network adapter. */
  readonly ec2: boolean;
  /** The service's address and the program, if not the usual ones. */
  readonly metadata?: string;
  readonly ethtool?: string;
}

/** Collects the record. Takes some tenths of a second, on EC2 at most some seconds. Never rejects. */
export async function recordEnvironment(options: EnvironmentOptions): Promise<EnvironmentRecord> {
  const facts = readAllFacts();
  return {
    recorded_at: new Date().toISOString(),
    hotwheels_version: manifest.version,
    commit: facts.commit,
    command_line: [...options.commandLine],
    seed: options.seed,
    runtimes: runtimeVersions(options.runtime),
    ...systemRecord(facts),
    ec2: options.ec2 ? await ec2Record(options, facts.device) : null,
  };
}

function runtimeVersions(running: Runtime): Record<RuntimeName, string | null> {
  const versions: Record<RuntimeName, string | null> = { deno: null, bun: null };
  for (const name of RUNTIME_NAMES) {
    try {
      versions[name] = name === running.name ? running.version : findProgram(name).version;
    } catch {
      // It isn't installed, or the sandbox forbids running it.
    }
  }
  return versions;
}

function systemRecord(facts: SystemFacts) {
  const { portRange, tcpMemory, conntrack, clock } = facts;
  return {
    os: facts.os,
    kernel: facts.osRelease,
    architecture: facts.architecture,
    cpu_model: facts.cpuModel,
    cores: facts.cores,
    memory_bytes: facts.memoryBytes,
    descriptor_limit: facts.descriptorLimit,
    port_range: portRange === null ? null : { ...portRange },
    max_backlog: facts.maxBacklog,
    syn_backlog: facts.synBacklog,
    syn_cookies: facts.synCookies,
    tcp_memory: tcpMemory === null
      ? null
      : { pressure_bytes: tcpMemory.pressureBytes, max_bytes: tcpMemory.maxBytes },
    congestion_control: facts.congestionControl,
    conntrack: conntrack === null ? null : { ...conntrack },
    clock: clock === null
      ? null
      : { synchronized: clock.isSynchronized, max_error_ms: clock.maxErrorMs },
  };
}

async function ec2Record(
  { metadata, ethtool }: EnvironmentOptions,
  device: string | null,
): Promise<Ec2Record> {
  const instance = await readInstance(metadata ?? metadataEndpoint());
  return {
    instance_type: instance?.instanceType ?? null,
    availability_zone: instance?.availabilityZone ?? null,
    ami_id: instance?.amiId ?? null,
    network_device: device,
    allowances_before: await readAllowances(device, ethtool),
    allowances_after: null,
  };
}
