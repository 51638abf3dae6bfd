/**
 * What this machine is, and what it allows: the facts that decide whether n clients fit, and that a
 * report of measurements must name.
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import os from "node:os";
import { fileURLToPath } from "node:url";
import { isAllowed, readEnvironment } from "../runtime/permissions.ts";
import { descriptorLimit } from "./descriptor_limit.ts";
import { usableMemory } from "./usable_memory.ts";

/** What the system allows. A fact is `null` where the platform has no such thing, or it can't be seen. */
export interface SystemLimits {
  /** How many descriptors a process may have open. */
  readonly descriptorLimit: number | null;
  /** What {@linkcode descriptorLimit} can be raised to. */
  readonly maxDescriptorLimit: number | null;
  /** How many files the whole system may have open. */
  readonly maxOpenFiles: number | null;
  /** The ports that the system gives to outgoing connections; both ends belong to it. */
  readonly portRange: PortRange | null;
  /** How many connections a listener may let wait, at most. */
  readonly maxBacklog: number | null;
  /** How many connections may be in the handshake; it binds where there are no {@linkcode synCookies}. */
  readonly synBacklog: number | null;
  readonly synCookies: boolean | null;
  /**
   * Whether connections that wait to be accepted go to another socket of the same port where the one that
   * they wait at is closed; else they are reset.
   */
  readonly migratesQueues: boolean | null;
  /** The memory that all TCP sockets together may use. */
  readonly tcpMemory: TcpMemory | null;
  /** Such as `cubic`. */
  readonly congestionControl: string | null;
  /** How many connections the firewall follows; `null` where none is loaded. */
  readonly conntrack: { readonly used: number; readonly max: number } | null;
}

/** What the machine is, and what it allows. */
export interface SystemFacts extends SystemLimits {
  /** Such as `Linux`. */
  readonly os: string;
  /** The kernel's release. */
  readonly osRelease: string | null;
  /** Such as `x64`. */
  readonly architecture: string;
  readonly cpuModel: string | null;
  /** How many threads the machine runs at once; fewer where this process is held to some. */
  readonly cores: number;
  /** The memory that this machine has, or this container may use. */
  readonly memoryBytes: number | null;
  /** The memory that is left for new processes. */
  readonly freeMemoryBytes: number | null;
  /** Known after {@linkcode readAllFacts} only, like all that follows. */
  readonly clock: ClockState | null;
  /** The commit of this checkout, with `-modified` behind it where files differ from it. */
  readonly commit: string | null;
  /** The network device that leads to the outside. */
  readonly device: string | null;
  /** Who made the machine, such as `Amazon EC2`. */
  readonly vendor: string | null;
}

/** Ports from `first` to `last`. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Bounds on what all TCP sockets together hold in buffers. */
export interface TcpMemory {
  /** From here on sockets are told to take less: windows shrink. */
  readonly pressureBytes: number;
  /** From here on sockets get nothing, and the kernel drops what arrives. */
  readonly maxBytes: number;
  /** What the kernel counts in. */
  readonly pageBytes: number;
}

/** What the service that sets the clock says. */
export interface ClockState {
  readonly isSynchronized: boolean;
  /** The greatest error that the clock can have, if the service knows it. */
  readonly maxErrorMs: number | null;
}

/** Where facts come from. */
export interface FactSource {
  env(name: string): string | undefined;
  /** What `facts.sh` prints; throws, or gives nothing, where it can't run. */
  script(args: readonly string[]): string;
}

const REAL_SOURCE: FactSource = {
  env: readEnvironment,
  script: (args) =>
    // It gets the environment, all of it.
    !isAllowed({ name: "run", command: "sh" }) || !isAllowed({ name: "env" })
      ? ""
      : execFileSync("sh", [fileURLToPath(import.meta.resolve("./facts.sh")), ...args], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
        timeout: 10_000,
      }),
};

/**
 * The limits. Never throws.
 *
 * @param source Where it has no script, nothing is run, and nothing is read but the environment.
 */
export function readLimits(source: FactSource = REAL_SOURCE): SystemLimits {
  return toLimits(statements(source, []));
}

/** The facts that are found at once. Never throws. */
export function readFacts(source: FactSource = REAL_SOURCE): SystemFacts {
  return toFacts(statements(source, []));
}

/**
 * All facts. The clock, the commit and the device are asked of other programs, which takes some tenths
 * of a second. Never throws.
 */
export function readAllFacts(source: FactSource = REAL_SOURCE): SystemFacts {
  return toFacts(statements(source, ["all"]));
}

/**
 * What the script says, by name. The project's tasks run it beforehand and pass it on in
 * `HOTWHEELS_FACTS`, because Deno doesn't let a sandboxed program look into `/proc`.
 */
function statements({ env, script }: FactSource, args: readonly string[]): Map<string, string> {
  const said = attempt(() => env("HOTWHEELS_FACTS")) ??
    attempt(() => / HOTWHEELS_FACTS=(\S*)/.exec(script(args))?.[1]) ?? "";
  return new Map(
    said.split(",").map((statement) => {
      const [name = "", value = ""] = statement.split("=", 2);
      return [name, value.replaceAll("+", " ").trim()];
    }),
  );
}

function toFacts(said: ReadonlyMap<string, string>): SystemFacts {
  const text = (name: string) => said.get(name) || null;
  return {
    os: os.type(),
    osRelease: permitted("osRelease", () => os.release()),
    architecture: os.arch(),
    cpuModel: cpuModel() ?? text("cpu_model"),
    cores: os.availableParallelism(),
    memoryBytes: toNumber(said.get("memory_bytes")) ?? usableMemory("") ?? null,
    freeMemoryBytes: permitted("systemMemoryInfo", () => os.freemem()),
    ...toLimits(said),
    clock: toClock(said.get("chrony"), said.get("ntp_synchronized")),
    commit: text("commit"),
    device: text("device"),
    vendor: text("vendor"),
  };
}

function toLimits(said: ReadonlyMap<string, string>): SystemLimits {
  const number = (name: string) => toNumber(said.get(name));
  const flag = (name: string) => {
    const value = number(name);
    return value === null ? null : value > 0;
  };
  return {
    descriptorLimit: descriptorLimit() ?? null,
    maxDescriptorLimit: number("nofile_max"),
    maxOpenFiles: number("file_max"),
    portRange: toPortRange(said.get("port_range")),
    maxBacklog: number("somaxconn"),
    synBacklog: number("syn_backlog"),
    synCookies: flag("syn_cookies"),
    migratesQueues: flag("migrate_queues"),
    tcpMemory: toTcpMemory(said.get("tcp_mem"), number("page_bytes")),
    congestionControl: said.get("congestion_control") || null,
    conntrack: toConntrack(number("conntrack_count"), number("conntrack_max")),
  };
}

/** Linux on ARM doesn't say it where Node's interface looks. */
function cpuModel(): string | null {
  const model = permitted("cpus", () => os.cpus()[0]?.model.trim());
  return model === "" || model === "unknown" ? null : model;
}

function toPortRange(text: string | undefined): PortRange | null {
  const [first, last] = toNumbers(text, 2);
  return first === undefined || last === undefined || first > last ? null : { first, last };
}

/** The kernel counts in pages: below pressure, pressure, maximum. */
function toTcpMemory(text: string | undefined, pageBytes: number | null): TcpMemory | null {
  const [, pressure, max] = toNumbers(text, 3);
  if (pressure === undefined || max === undefined || pageBytes === null) return null;
  return { pressureBytes: pressure * pageBytes, maxBytes: max * pageBytes, pageBytes };
}

function toConntrack(used: number | null, max: number | null): SystemFacts["conntrack"] {
  return used === null || max === null ? null : { used, max };
}

/**
 * @param chrony Offset, root delay and root dispersion in seconds, and the leap status. The greatest
 * error is the offset, half the delay, and the dispersion, as RFC 5905 has the root distance.
 */
function toClock(chrony: string | undefined, isNtpSynchronized?: string): ClockState | null {
  const match = /^(-?[\d.]+) ([\d.]+) ([\d.]+) (.+)$/.exec(chrony ?? "");
  if (match !== null) {
    const [offset, delay, dispersion] = match.slice(1, 4).map(Number) as [number, number, number];
    const maxErrorMs = (Math.abs(offset) + delay / 2 + dispersion) * 1000;
    const isSynchronized = match[4] !== "Not synchronised";
    return {
      isSynchronized,
      maxErrorMs: isSynchronized && Number.isFinite(maxErrorMs) ? maxErrorMs : null,
    };
  }
  if (isNtpSynchronized !== "yes" && isNtpSynchronized !== "no") return null;
  return { isSynchronized: isNtpSynchronized === "yes", maxErrorMs: null };
}

/** So many whole numbers, or none at all. */
function toNumbers(text: string | undefined, count: number): number[] {
  const parts = (text ?? "").split(" ").map(toNumber);
  return parts.length === count && !parts.includes(null) ? parts as number[] : [];
}

function toNumber(text: string | undefined): number | null {
  return /^\d+$/.test(text ?? "") ? Number(text) : null;
}

/** What Deno gives only to whom it's allowed. */
function permitted<T>(
  kind: "cpus" | "osRelease" | "systemMemoryInfo",
  read: () => T | undefined,
): T | null {
  return isAllowed({ name: "sys", kind }) ? attempt(read) : null;
}

function attempt<T>(read: () => T | undefined): T | null {
  try {
    return read() ?? null;
  } catch {
    return null;
  }
}
