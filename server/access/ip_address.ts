/**
 * Addresses as numbers, so that those written differently compare alike.
 *
 * @module
 */

import { isIPv4, isIPv6 } from "node:net";

/** An address in the form of IPv6, 128 bits; one of IPv4 as `::ffff:a.b.c.d`. */
export type IpNumber = bigint;

/** Where IPv4 lies among the addresses of IPv6. */
const MAPPED_IPV4: IpNumber = 0xffffn << 32n;

/** Bits of an address of IPv6 that name the network; one customer has all the rest. */
const SITE_SHIFT = 64n;

/** The number of an address of IPv4 or IPv6, or `undefined` where the text is neither. */
export function parseIp(text: string): IpNumber | undefined {
  if (isIPv4(text)) return MAPPED_IPV4 | parseIpv4(text);
  const plain = text.split("%", 1)[0] as string;
  return isIPv6(plain) ? parseIpv6(plain) : undefined;
}

/** True for an address of IPv4, also where it's written as one of IPv6. */
export function isMappedIpv4(address: IpNumber): boolean {
  return address >> 32n === 0xffffn;
}

/**
 * What an address counts as where limits hold for one: itself, or with IPv6 the /64 that it's in,
 * since whoever has one address there has all of them.
 *
 * @param address As a connection has it.
 */
export function siteOf(address: string): string {
  if (!address.includes(":")) return address;
  const number = parseIp(address);
  if (number === undefined || isMappedIpv4(number)) return address;
  return `${(number >> SITE_SHIFT).toString(16)}/64`;
}

function parseIpv4(text: string): bigint {
  return text.split(".").reduce((number, byte) => number << 8n | BigInt(byte), 0n);
}

function parseIpv6(text: string): bigint {
  const [head, tail] = text.split("::") as [string, string | undefined];
  const first = parseGroups(head);
  if (tail === undefined) return joinGroups(first);
  const last = parseGroups(tail);
  return joinGroups([...first, ...Array(8 - first.length - last.length).fill(0n), ...last]);
}

function parseGroups(text: string): bigint[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (!group.includes(".")) return [BigInt(`0x${group}`)];
    const number = parseIpv4(group);
    return [number >> 16n, number & 0xffffn];
  });
}

function joinGroups(groups: readonly bigint[]): bigint {
  return groups.reduce((number, group) => number << 16n | group, 0n);
}
