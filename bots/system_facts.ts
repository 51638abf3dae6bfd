/**
 * What this machine is, and what it allows: the facts that decide whether n clients fit.
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import os from "node:os";
import process from "node:process";
import { descriptorLimit } from "../runtime/system.ts";

/** A fact is `null` where the platform has no such thing, or a sandbox denies a look at it. */
export interface SystemFacts {
  /** Such as `Linux`. */
  readonly os: string;
  readonly osRelease: string | null;
  /** Such as `x64`. */
  readonly architecture: string;
  readonly cpuModel: string | null;
  /** How many threads the machine runs at once. */
  readonly cores: number;
  /** How many descriptors a process may have open. */
  readonly descriptorLimit: number | null;
  /** The ports that the system gives to outgoing connections; both ends belong to it. */
  readonly portRange: PortRange | null;
  /** How many connections a listener may let wait, at most. */
  readonly maxBacklog: number | null;
}

/** Ports from `first` to `last`. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Where facts come from. Each way gives nothing, or throws, where it isn't open. */
export interface FactSource {
  env(name: string): string | undefined;
  file(path: string): string;
  /** A kernel setting's value, as macOS gives it out. */
  sysctl(name: string): string;
}

const REAL_SOURCE: FactSource = {
  env: (name) => process.env[name],
  file: (path) => readFileSync(path, "utf8"),
  sysctl: (name) => execFileSync("sysctl", ["-n", name], { encoding: "utf8", stdio: "pipe" }),
};

/** This machine's facts. Never throws. */
export function readSystemFacts(): SystemFacts {
  return {
    os: os.type(),
    osRelease: attempt(() => os.release()),
    architecture: os.arch(),
    cpuModel: attempt(() => os.cpus()[0]?.model.trim()),
    cores: os.availableParallelism(),
    descriptorLimit: descriptorLimit() ?? null,
    portRange: readPortRange(REAL_SOURCE),
    maxBacklog: readMaxBacklog(REAL_SOURCE),
  };
}

/**
 * The port range: from `HOTWHEELS_PORT_RANGE` (`32768-60999`), which the project's tasks set because
 * Deno doesn't let a sandboxed program look into `/proc`; else from Linux's `/proc`, else from sysctl.
 */
export function readPortRange({ env, file, sysctl }: FactSource): PortRange | null {
  return attempt(() => toPortRange(env("HOTWHEELS_PORT_RANGE"))) ??
    attempt(() => toPortRange(file("/proc/sys/net/ipv4/ip_local_port_range"))) ??
    attempt(() =>
      toPortRange(
        `${sysctl("net.inet.ip.portrange.first")} ${sysctl("net.inet.ip.portrange.last")}`,
      )
    );
}

/** The backlog's bound, from `HOTWHEELS_SOMAXCONN` and then as {@linkcode readPortRange}. */
export function readMaxBacklog({ env, file, sysctl }: FactSource): number | null {
  return attempt(() => toNumber(env("HOTWHEELS_SOMAXCONN"))) ??
    attempt(() => toNumber(file("/proc/sys/net/core/somaxconn"))) ??
    attempt(() => toNumber(sysctl("kern.ipc.somaxconn")));
}

function toPortRange(text: string | undefined): PortRange | undefined {
  const match = /^(\d+)[\s-]+(\d+)\s*$/.exec(text ?? "");
  if (match === null) return undefined;
  const range = { first: Number(match[1]), last: Number(match[2]) };
  return range.first <= range.last ? range : undefined;
}

function toNumber(text: string | undefined): number | undefined {
  return /^\d+\s*$/.test(text ?? "") ? Number(text) : undefined;
}

function attempt<T>(read: () => T | undefined): T | null {
  try {
    return read() ?? null;
  } catch {
    return null;
  }
}
