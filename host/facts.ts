/**
 * Reads the facts about this machine: those that decide whether n clients fit, and those that a report of
 * measurements must name.
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import os from "node:os";
import { fileURLToPath } from "node:url";
import { isAllowed, readEnvironment } from "../runtime/permissions.ts";
import { descriptorLimit } from "./descriptor_limit.ts";
import { usableMemory } from "./usable_memory.ts";

/** The system's limits. A fact is `null` if the platform has no such limit, or if it can't be read. */
export interface SystemLimits {
  /** The number of descriptors that a process may have open. */
  readonly descriptorLimit: number | null;
  /** The highest value of {@linkcode descriptorLimit}. */
  readonly maxDescriptorLimit: number | null;
  /** The number of files that the whole system may have open. */
  readonly maxOpenFiles: number | null;
  /** The ports of outgoing connections, both ends included. */
  readonly portRange: PortRange | null;
  /** The most connections that may wait at a listener. */
  readonly maxBacklog: number | null;
  /**
   * The number of connections that may be in the handshake. It only matters without {@linkcode
   * synCookies}.
   */
  readonly synBacklog: number | null;
  readonly synCookies: boolean | null;
  /**
   * True if connections that wait to be accepted move to another socket of the same port when their own
   * is closed. Otherwise they are reset.
   */
  readonly migratesQueues: boolean | null;
  /** Memory that all TCP sockets together may use. */
  readonly tcpMemory: TcpMemory | null;
  /** Such as `cubic`. */
  readonly congestionControl: string | null;
  /** The connections that the firewall tracks; `null` if none is loaded. */
  readonly conntrack: { readonly used: number; readonly max: number } | null;
}

/** All facts about the machine. */
export interface SystemFacts extends SystemLimits {
  /** Such as `Linux`. */
  readonly os: string;
  /** The kernel's release. */
  readonly osRelease: string | null;
  /** Such as `x64`. */
  readonly architecture: string;
  readonly cpuModel: string | null;
  /** The number of threads that the machine runs at once; fewer if this process is restricted to some. */
  readonly cores: number;
  /** Bytes of memory of this machine, or of this container if it may use less. */
  readonly memoryBytes: number | null;
  /** Bytes of memory that are left for new processes. */
  readonly freeMemoryBytes: number | null;
  /** Read by {@linkcode readAllFacts} only, like everything below. */
  readonly clock: ClockState | null;
  /** The commit of this checkout, with `-modified` behind it if files differ from it. */
  readonly commit: string | null;
  /** The network device that leads to the outside. */
  readonly device: string | null;
  /** The machine's vendor, such as `Amazon EC2`. */
  readonly vendor: string | null;
}

/** Ports from `first` to `last`. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Bounds on the bytes that all TCP sockets together hold in buffers. */
export interface TcpMemory {
  /** Above this, windows shrink. */
  readonly pressureBytes: number;
  /** Above this, sockets get no memory, and the kernel drops what arrives. */
  readonly maxBytes: number;
  /** The size of a page, the kernel's unit. */
  readonly pageBytes: number;
}

/** The state of the clock, by the service that sets it. */
export interface ClockState {
  readonly isSynchronized: boolean;
  /** The clock's greatest error in milliseconds; `null` if the service doesn't know it. */
  readonly maxErrorMs: number | null;
}

/** The sources of facts. */
export interface FactSource {
  env(name: string): string | undefined;
  /** Runs `facts.sh` and returns its output. Throws, or returns nothing, if it can't run. */
  script(args: readonly string[]): string;
}

const REAL_SOURCE: FactSource = {
  env: readEnvironment,
  script: (args) =>
    // The script gets the whole environment.
    !isAllowed({ name: "run", command: "sh" }) || !isAllowed({ name: "env" })
      ? ""
      : execFileSync("sh", [fileURLToPath(import.meta.resolve("./facts.sh")), ...args], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
        timeout: 10_000,
      }),
};

/**
 * Reads the limits. Never throws.
 *
 * @param source If its script returns nothing, no program runs, and only the environment is read.
 */
export function readLimits(source: FactSource = REAL_SOURCE): SystemLimits {
  return toLimits(statements(source, []));
}

/** Reads the facts that take no time. Never throws. */
export function readFacts(source: FactSource = REAL_SOURCE): SystemFacts {
  return toFacts(statements(source, []));
}

/**
 * Reads all facts. The clock, the commit and the device come from other programs, which takes some tenths
 * of a second. Never throws.
 */
export function readAllFacts(source: FactSource = REAL_SOURCE): SystemFacts {
  return toFacts(statements(source, ["all"]));
}

/**
 * The script's facts by name. The project's tasks run it beforehand and pass the result on in
 * `HOTWHEELS_FACTS`, because Deno doesn't let a sandboxed program read `/proc`.
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

/** The CPU's model; Linux on ARM doesn't tell Node's interface. */
function cpuModel(): string | null {
  const model = permitted("cpus", () => os.cpus()[0]?.model.trim());
  return model === "" || model === "unknown" ? null : model;
}

function toPortRange(text: string | undefined): PortRange | null {
  const [first, last] = toNumbers(text, 2);
  return first === undefined || last === undefined || first > last ? null : { first, last };
}

/** Parses the kernel's three numbers of pages: below pressure, pressure, maximum. */
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
 * error is the offset, half the delay, and the dispersion: the root distance of RFC 5905.
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

/** Exactly `count` whole numbers; empty if the text holds anything else. */
function toNumbers(text: string | undefined, count: number): number[] {
  const parts = (text ?? "").split(" ").map(toNumber);
  return parts.length === count && !parts.includes(null) ? parts as number[] : [];
}

function toNumber(text: string | undefined): number | null {
  return /^\d+$/.test(text ?? "") ? Number(text) : null;
}

/** Reads a value that needs a permission on Deno; `null` without it. */
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
