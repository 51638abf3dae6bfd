/**
 * Whether n bots fit this machine: asked before they are started, because the system's own words come
 * late and say little.
 *
 * @module
 */

import type { PortRange, SystemFacts } from "../system/facts.ts";

/** What a run asks of the machine. */
export interface Need {
  readonly n: number;
  readonly processes: number;
  /** How many addresses the bots connect to. */
  readonly addresses: number;
  /** Whether these are addresses of this machine, to which more can be added. */
  readonly isLoopback: boolean;
}

/** Something that doesn't fit. */
export interface Finding {
  /** Whether the run can't succeed with it. */
  readonly isFatal: boolean;
  /** One line: what is needed, and what there is. */
  readonly problem: string;
  /** The exact commands and flags that mend it, each with where it's to be used. */
  readonly remedies: readonly { readonly where: string; readonly what: string }[];
}

/** The facts that count here. */
export type Capacity = Pick<SystemFacts, "descriptorLimit" | "portRange" | "maxBacklog">;

/**
 * Descriptors of a process that bots can't have: the runtime's own (Deno some 24, Bun 7), the meter's
 * three, the channel to the leading process, the publisher's.
 */
export const RESERVED_DESCRIPTORS = 64;

/** Where a system's range isn't known: Linux's default size. */
const USUAL_PORTS = 60_999 - 32_768 + 1;

/** The widest range that a system can be told to use, 1024 to 65535. */
const MOST_PORTS = 65_535 - 1024 + 1;

/**
 * The part of the port range that may be used for one destination before connecting becomes slow:
 * Linux tries every other port first, so that past a half of the range each connect searches the whole
 * other half in vain. With 19,000 of 28,232 ports this was three quarters of the time for setting up.
 */
const BRISK_PART = 0.4;

/** Below so many bots one process is always enough, and another would cost more than it gives. */
const MANY_BOTS = 2000;

/** How many may be between connecting and the server's greeting, so that no usual backlog overflows. */
export const MAX_CONNECTING = 256;

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
  { descriptorLimit, cores }: Pick<SystemFacts, "descriptorLimit" | "cores">,
): number {
  const forDescriptors = descriptorLimit === null || descriptorLimit <= RESERVED_DESCRIPTORS
    ? 1
    : Math.ceil(n / (descriptorLimit - RESERVED_DESCRIPTORS));
  const ours = Math.max(isLoopback ? cores - 1 : cores, 1);
  const forCores = Math.min(ours, Math.max(Math.floor(n / MANY_BOTS), 1));
  const forRuntime = runtimeName === "deno"
    ? Math.min(Math.ceil(n / DENO_BOTS), cores * DENO_PROCESSES_PER_CORE)
    : 1;
  return Math.max(forDescriptors, forCores, forRuntime);
}

/** How many loopback addresses make connecting brisk. */
export function chooseSpread(n: number, portRange: PortRange | null): number {
  return Math.ceil(n / (portsIn(portRange) * BRISK_PART));
}

/** Compares what is needed with what there is. What isn't known is taken to be enough. */
export function preflight(need: Need, capacity: Capacity): Finding[] {
  return [
    checkDescriptors(need, capacity),
    checkPorts(need, capacity),
    checkBacklog(need, capacity),
  ].filter((finding) => finding !== null);
}

function checkDescriptors(need: Need, { descriptorLimit }: Capacity): Finding | null {
  const needed = Math.ceil(need.n / need.processes) + RESERVED_DESCRIPTORS;
  if (descriptorLimit === null || needed <= descriptorLimit) return null;
  const processes = Math.ceil(need.n / Math.max(descriptorLimit - RESERVED_DESCRIPTORS, 1));
  return {
    isFatal: true,
    problem: `${need.n} bots in ${count(need.processes, "process", "es")} need ${needed} ` +
      `descriptors in each, and ${descriptorLimit} are allowed`,
    remedies: [
      { where: "here", what: `--processes ${processes}, or auto` },
      { where: "Linux", what: `ulimit -n ${needed}` },
      { where: "Linux, past the hard limit", what: `sudo prlimit --pid $$ --nofile=${needed}` },
      {
        where: "macOS",
        what: `sudo sysctl -w kern.maxfiles=${need.n * 2} kern.maxfilesperproc=${needed} && ` +
          `ulimit -n ${needed}`,
      },
    ],
  };
}

function checkPorts(need: Need, { portRange }: Capacity): Finding | null {
  const ports = portsIn(portRange);
  const perAddress = Math.ceil(need.n / need.addresses);
  if (portRange === null || perAddress <= ports * 0.5) return null;
  const isFatal = perAddress > ports;
  const remedies = [];
  if (need.isLoopback) {
    const spread = chooseSpread(need.n, portRange);
    remedies.push({ where: "here", what: `--spread ${spread}, with the server on --host 0.0.0.0` });
    if (spread > 1) {
      remedies.push({
        where: "macOS, before --spread",
        what: `for i in $(seq 2 ${spread}); do sudo ifconfig lo0 alias 127.0.0.$i up; done`,
      });
    }
  }
  if (perAddress <= MOST_PORTS) {
    remedies.push(
      { where: "Linux", what: `sudo sysctl -w net.ipv4.ip_local_port_range="1024 65535"` },
      {
        where: "macOS",
        what: `sudo sysctl -w net.inet.ip.portrange.first=1024 net.inet.ip.portrange.last=65535`,
      },
    );
  } else if (!need.isLoopback) {
    const machines = Math.ceil(perAddress / MOST_PORTS);
    remedies.push({ where: "anywhere", what: `share the bots among ${machines} machines or more` });
  }
  return {
    isFatal,
    problem: `${perAddress} connections to one address ` +
      (isFatal
        ? `need as many ports, and the system gives out ${ports} (${rangeText(portRange)})`
        : `crowd the ${ports} ports that the system gives out (${rangeText(portRange)}); ` +
          `connecting will be slow`),
    remedies,
  };
}

function checkBacklog(need: Need, { maxBacklog }: Capacity): Finding | null {
  const waiting = Math.min(need.n, MAX_CONNECTING);
  if (!need.isLoopback || maxBacklog === null || maxBacklog >= waiting) return null;
  return {
    isFatal: false,
    problem:
      `up to ${waiting} connections may wait to be accepted, and this system lets a listener ` +
      `have ${maxBacklog} wait; connecting may stall for a second at a time`,
    remedies: [
      { where: "Linux", what: "sudo sysctl -w net.core.somaxconn=4096" },
      { where: "macOS", what: "sudo sysctl -w kern.ipc.somaxconn=4096" },
    ],
  };
}

/** A finding as lines for people. */
export function findingText({ isFatal, problem, remedies }: Finding): string {
  const lines = [`bots: ${isFatal ? "this can't work" : "note"}: ${problem}`];
  const width = Math.max(...remedies.map(({ where }) => where.length));
  for (const { where, what } of remedies) lines.push(`  ${(where + ":").padEnd(width + 2)}${what}`);
  return lines.join("\n");
}

function portsIn(range: PortRange | null): number {
  return range === null ? USUAL_PORTS : range.last - range.first + 1;
}

function rangeText({ first, last }: PortRange): string {
  return `${first} to ${last}`;
}

function count(number: number, noun: string, plural: string): string {
  return `${number} ${noun}${number === 1 ? "" : plural}`;
}
