/**
 * The commands that make two hosts of one machine, and the hosts' names. This module only makes text; it
 * runs nothing.
 *
 * @module
 */

import type { LinkOptions } from "./options.ts";

/** A network namespace in the role of a host. */
export interface Host {
  /** The namespace's name, with the process ID of its run. */
  readonly name: string;
  readonly address: string;
  /** The core that its programs run on. */
  readonly core: number;
}

/** Both hosts. */
export interface Hosts {
  readonly server: Host;
  readonly bots: Host;
}

/**
 * Addresses from the network that RFC 2544 reserves for benchmarks, so that no real host becomes
 * unreachable.
 */
const SERVER_ADDRESS = "198.18.0.1";
const BOTS_ADDRESS = "198.18.0.2";
const PREFIX = 30;

/** The name of the wire's end in each namespace. */
const DEVICE = "eth0";

/** The most packets on the wire at once: each of a million subscribers may have one. */
const MAX_PACKETS = 1_000_000;

/** Milliseconds that a packet may wait for the wire until it is dropped, as in a router's queue. */
const QUEUE_MS = 200;

/** The largest packet that the wire gets at once: TCP's segments are cut up after that. */
const LARGEST_PACKET_BYTES = 65_536;

/**
 * The hosts of a run.
 *
 * @param pid The process ID of the run.
 * @param cores The cores that the run may use. With only one, both hosts share it.
 */
export function planHosts(pid: number, cores: readonly number[]): Hosts {
  const [first = 0, second = first] = cores;
  return {
    server: { name: `hotwheels-${pid}-server`, address: SERVER_ADDRESS, core: first },
    bots: { name: `hotwheels-${pid}-bots`, address: BOTS_ADDRESS, core: second },
  };
}

/** The process ID of the run that a namespace belongs to; `null` if it isn't ours. */
export function runOf(namespace: string): number | null {
  const match = /^hotwheels-(\d+)-(server|bots)$/.exec(namespace);
  return match === null ? null : Number(match[1]);
}

/** The commands that connect two existing namespaces, in order. */
export function linkCommands({ server, bots }: Hosts, link: LinkOptions): string[][] {
  const peer = ["peer", "name", DEVICE, "netns", bots.name];
  const commands = [
    ["ip", "link", "add", DEVICE, "netns", server.name, "type", "veth", ...peer],
  ];
  for (const { name, address } of [server, bots]) {
    const ip = ["ip", "-n", name];
    commands.push(
      [...ip, "link", "set", "lo", "up"],
      [...ip, "address", "add", `${address}/${PREFIX}`, "dev", DEVICE],
      [...ip, "link", "set", DEVICE, "up"],
    );
    const shaping = discipline(link);
    if (shaping !== null) {
      commands.push(["tc", "-n", name, "qdisc", "add", "dev", DEVICE, "root", ...shaping]);
    }
  }
  // With more than half of the ports to one address in use, connecting is slow.
  const range = "echo 1024 65535 > /proc/sys/net/ipv4/ip_local_port_range";
  commands.push(["ip", "netns", "exec", bots.name, "sh", "-c", range]);
  return commands;
}

/** The words before a command line that run it on a host. */
export function onHost({ name, core }: Host): string[] {
  return ["ip", "netns", "exec", name, "taskset", "-c", String(core)];
}

/** The cores of `taskset -pc`'s answer, such as `pid 7's current affinity list: 0-2,5`. */
export function parseCores(answer: string): number[] {
  const list = /: ([\d,-]+)\s*$/.exec(answer)?.[1] ?? "";
  return list.split(",").filter((part) => part !== "").flatMap((part) => {
    const [first = 0, last = first] = part.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });
}

/**
 * The queueing discipline of each end. A delay needs netem, which many small kernels lack; a rate alone
 * needs only the token bucket that all kernels have. Its bucket holds the bytes of a hundredth of a
 * second.
 */
function discipline({ delayMs, bitsPerSecond }: LinkOptions): string[] | null {
  const rate = bitsPerSecond === null ? [] : ["rate", `${bitsPerSecond}bit`];
  if (delayMs !== null) {
    return ["netem", "limit", `${MAX_PACKETS}`, "delay", `${delayMs * 1000}us`, ...rate];
  }
  if (bitsPerSecond === null) return null;
  const burst = Math.max(Math.ceil(bitsPerSecond / 8 / 100), LARGEST_PACKET_BYTES);
  return ["tbf", ...rate, "burst", `${burst}`, "latency", `${QUEUE_MS}ms`];
}
