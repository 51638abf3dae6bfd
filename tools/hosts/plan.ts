/**
 * The commands that make several hosts of one machine, and the hosts' names. This module only makes text;
 * it runs nothing.
 *
 * @module
 */

import type { LinkOptions } from "./options.ts";

/** A network namespace in the role of a host. */
export interface Host {
  /** The namespace's name, with the process ID of its run. */
  readonly name: string;
  readonly address: string;
  /** The cores that its programs run on. */
  readonly cores: readonly number[];
}

/** A server's host and the host of its bots, with a wire of their own between them. */
export interface Machine {
  readonly server: Host;
  readonly bots: Host;
  /** The address of the bots' host for those of other machines. */
  readonly botsAddress: string;
}

/** All hosts. */
export interface Hosts {
  readonly machines: readonly [Machine, ...Machine[]];
  /** The host with NATS, and a wire to each server; `null` with one machine. */
  readonly nats: Host | null;
}

/** The size of a run. */
export interface Size {
  readonly machines: number;
  /** The processes of each server. */
  readonly workers: number;
}

/**
 * Addresses from the network that RFC 2544 reserves for benchmarks, so that no real host becomes
 * unreachable. All servers have the same one, as behind a load balancer: bots reach that of their own
 * machine by it.
 */
const SERVER_ADDRESS = "198.18.0.1";
const BOTS_ADDRESS = "198.18.0.2";
const PREFIX = 30;

/** The name of the client's wire at each end. */
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
 * @param cores The cores that the run may use. Where they are too few for a core for each process, servers
 * and NATS share one half of them, and bots the other.
 */
export function planHosts(pid: number, cores: readonly number[], size: Size): Hosts {
  const own = coresFor(cores, size);
  const host = (name: string, address: string, cores: readonly number[]): Host => ({
    name: `hotwheels-${pid}-${name}`,
    address,
    cores,
  });
  const machines = own.machines.map(({ server, bots }, at): Machine => {
    const number = size.machines === 1 ? "" : String(at + 1);
    return {
      server: host(`server${number}`, SERVER_ADDRESS, server),
      bots: host(`bots${number}`, BOTS_ADDRESS, bots),
      botsAddress: `198.19.${at}.2`,
    };
  });
  return {
    machines: machines as [Machine, ...Machine[]],
    nats: size.machines === 1 ? null : host("nats", natsAddress(0), own.nats),
  };
}

function coresFor(cores: readonly number[], { machines, workers }: Size) {
  const each = workers + 1;
  const isEnough = machines * each <= cores.length;
  const half = Math.floor(cores.length / 2);
  const servers = cores.slice(0, Math.max(half, 1));
  return {
    machines: Array.from({ length: machines }, (_, at) => {
      if (!isEnough) return { server: servers, bots: cores.slice(half) };
      const first = at * each;
      return {
        server: cores.slice(first, first + workers),
        bots: [cores[first + workers]!],
      };
    }),
    nats: cores.length > machines * each ? cores.slice(machines * each) : servers,
  };
}

/** The process ID of the run that a namespace belongs to; `null` if it isn't ours. */
export function runOf(namespace: string): number | null {
  const match = /^hotwheels-(\d+)-(?:(?:server|bots)\d*|nats)$/.exec(namespace);
  return match === null ? null : Number(match[1]);
}

/** All hosts, those first whose processes depend on the others'. */
export function allOf({ machines, nats }: Hosts): Host[] {
  return [
    ...machines.map(({ bots }) => bots),
    ...machines.map(({ server }) => server),
    ...(nats === null ? [] : [nats]),
  ];
}

/** The commands that connect the existing namespaces, in order. */
export function linkCommands({ machines, nats }: Hosts, link: LinkOptions): string[][] {
  const [{ bots: first }] = machines;
  const commands: string[][] = [];
  for (const [at, { server, bots, botsAddress }] of machines.entries()) {
    commands.push(...wire(end(server, DEVICE), end(bots, DEVICE), link));
    if (nats !== null) {
      const to = { host: nats, device: `eth${at}`, address: natsAddress(at) };
      const from = { host: server, device: "eth1", address: `198.18.${at + 1}.2` };
      commands.push(...wire(from, to, link));
    }
    if (at > 0) {
      // The agents' own wire, which isn't measured.
      const from = { host: first, device: `eth${at}`, address: `198.19.${at}.1` };
      const to = { host: bots, device: "eth1", address: botsAddress };
      commands.push(...wire(from, to, { delayMs: null, bitsPerSecond: null }));
    }
  }
  for (const { name } of allOf({ machines, nats })) {
    commands.push(["ip", "-n", name, "link", "set", "lo", "up"]);
  }
  // With more than half of the ports to one address in use, connecting is slow.
  const range = "echo 1024 65535 > /proc/sys/net/ipv4/ip_local_port_range";
  for (const { bots } of machines) {
    commands.push(["ip", "netns", "exec", bots.name, "sh", "-c", range]);
  }
  return commands;
}

/** The address at which a server reaches NATS. @param at The machine's place. */
export function natsAddress(at: number): string {
  return `198.18.${at + 1}.1`;
}

/** An end of a wire. */
interface End {
  readonly host: Host;
  readonly device: string;
  readonly address: string;
}

function end(host: Host, device: string): End {
  return { host, device, address: host.address };
}

function wire(one: End, other: End, link: LinkOptions): string[][] {
  const peer = ["peer", "name", other.device, "netns", other.host.name];
  const shaping = discipline(link);
  return [
    ["ip", "link", "add", one.device, "netns", one.host.name, "type", "veth", ...peer],
    ...[one, other].flatMap(({ host: { name }, device, address }) => [
      ["ip", "-n", name, "address", "add", `${address}/${PREFIX}`, "dev", device],
      ["ip", "-n", name, "link", "set", device, "up"],
      ...shaping === null
        ? []
        : [["tc", "-n", name, "qdisc", "add", "dev", device, "root", ...shaping]],
    ]),
  ];
}

/** The words before a command line that run it on a host. */
export function onHost({ name, cores }: Host): string[] {
  return ["ip", "netns", "exec", name, "taskset", "-c", cores.join(",")];
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
