/**
 * Checks whether the system's network allows as many connections as are asked for.
 *
 * @module
 */

import type { PortRange, SystemLimits } from "./facts.ts";
import { fatal, type Finding, fine, note, type Remedy, unknown } from "./finding.ts";

/** The ports that the bots' connections need. */
export interface PortNeed {
  readonly n: number;
  /** The number of addresses that they connect to. */
  readonly addresses: number;
  /**
   * The number of addresses of this machine that would be enough; `null` if the server is on another
   * machine.
   */
  readonly spread: number | null;
}

/** The number of ports to assume if a system's range isn't known: Linux's default. */
const USUAL_PORTS = 60_999 - 32_768 + 1;

/** The most ports of any range: 1024 to 65535. */
const MOST_PORTS = 65_535 - 1024 + 1;

/**
 * The share of the port range that one destination may use before connecting becomes slow. Linux tries
 * every other port first, so that beyond half of the range each connect searches the whole other half in
 * vain. With 19,000 of 28,232 ports this was three quarters of the time for setting up.
 */
const CROWDED_PART = 0.5;

/** The number of ports in a range. */
export function portsIn(range: PortRange | null): number {
  return range === null ? USUAL_PORTS : range.last - range.first + 1;
}

/** Checks whether there are enough ports for the connections to each address. */
export function checkPorts(need: PortNeed, { portRange }: SystemLimits): Finding {
  const about = "ports for each destination";
  if (portRange === null) return unknown(about);
  const ports = portsIn(portRange);
  const range = `${portRange.first} to ${portRange.last}`;
  const perAddress = Math.ceil(need.n / need.addresses);
  if (perAddress > ports) {
    const says = `${perAddress} connections to one address need as many ports, and the system ` +
      `gives out ${ports} (${range})`;
    return fatal(about, says, portRemedies(need, perAddress));
  }
  if (perAddress > ports * CROWDED_PART) {
    const says = `${perAddress} connections to one address crowd the ${ports} ports that the ` +
      `system gives out (${range}); connecting will be slow`;
    return note(about, says, portRemedies(need, perAddress));
  }
  return fine(about, `${perAddress} are needed, and the system gives out ${ports} (${range})`);
}

function portRemedies({ spread }: PortNeed, perAddress: number): Remedy[] {
  const remedies: Remedy[] = [];
  if (spread !== null) {
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
  } else if (spread === null) {
    const machines = Math.ceil(perAddress / MOST_PORTS);
    remedies.push({ where: "anywhere", what: `share the bots among ${machines} machines or more` });
  }
  return remedies;
}

/**
 * Checks whether enough connections may wait at the server's listener while it accepts others.
 *
 * @param waiting The most connections that wait at once.
 */
export function checkBacklog(waiting: number, { maxBacklog }: SystemLimits): Finding {
  const about = "listener's backlog";
  if (maxBacklog === null) return unknown(about);
  const says = `up to ${waiting} connections may wait to be accepted, and this system lets a ` +
    `listener have ${maxBacklog} wait`;
  if (waiting <= maxBacklog) return fine(about, says);
  return note(about, `${says}; connecting may stall for a second at a time`, [
    { where: "Linux", what: "sudo sysctl -w net.core.somaxconn=4096" },
    { where: "macOS", what: "sudo sysctl -w kern.ipc.somaxconn=4096" },
  ]);
}

/**
 * Checks whether enough connections may be in the handshake. With SYN cookies none is refused; without
 * them Linux begins to drop new ones when three quarters of the places are taken.
 *
 * @param connecting The most connections in the handshake at once.
 */
export function checkSynBacklog(connecting: number, limits: SystemLimits): Finding {
  const { synBacklog, synCookies } = limits;
  const about = "SYN backlog";
  if (synBacklog === null || synCookies === null) return unknown(about);
  if (synCookies) {
    return fine(about, `SYN cookies are on, and ${synBacklog} remembered without them`);
  }
  const usable = Math.floor(synBacklog * 3 / 4);
  const says =
    `up to ${connecting} connections may be in the handshake, and this system remembers ` +
    `${usable} without SYN cookies`;
  if (connecting <= usable) return fine(about, says);
  return note(about, says, [
    {
      where: "Linux",
      what: "sudo sysctl -w net.ipv4.tcp_syncookies=1 net.ipv4.tcp_max_syn_backlog=4096",
    },
  ]);
}

/** Checks whether connections that wait for a worker move to another one when it ends. */
export function checkQueueMigration({ migratesQueues }: SystemLimits): Finding {
  const about = "a worker's queue";
  if (migratesQueues === null) return unknown(about);
  if (migratesQueues) {
    return fine(about, "connections that wait for a worker which ends go to another one");
  }
  const says =
    "connections that wait for a worker at the moment it ends are reset, though they may " +
    "have sent something; this kernel can hand them to another worker";
  return note(about, says, [
    { where: "Linux", what: "sudo sysctl -w net.ipv4.tcp_migrate_req=1" },
  ]);
}

/** Checks whether the firewall can track n more connections. If it can't, it drops their packets. */
export function checkConntrack(n: number, { conntrack }: SystemLimits): Finding {
  const about = "tracked connections";
  if (conntrack === null) return fine(about, "no firewall that follows connections is loaded");
  const { used, max } = conntrack;
  const says = `the firewall can follow ${max} connections, ${used} are taken, and ${n} more come`;
  if (n <= max - used) return fine(about, says);
  return note(about, `${says}; where a rule needs it, it drops the rest`, [
    { where: "Linux", what: `sudo sysctl -w net.netfilter.nf_conntrack_max=${(used + n) * 2}` },
  ]);
}
