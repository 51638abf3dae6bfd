/**
 * Addresses as numbers, so that two spellings of one address are equal.
 *
 * @module
 */

import { isIPv4, isIPv6 } from "node:net";

/** An address of IPv6, 128 bits. IPv4 is written as `::ffff:a.b.c.d`. */
export type IpNumber = bigint;

/** The first address of IPv4 among those of IPv6. */
const MAPPED_IPV4: IpNumber = 0xffffn << 32n;

/** The bits of an IPv6 address behind its /64: one customer has all of them. */
const SITE_SHIFT = 64n;

/** The number of an address of IPv4 or IPv6; `undefined` if the text is neither. */
export function parseIp(text: string): IpNumber | undefined {
  if (isIPv4(text)) return MAPPED_IPV4 | parseIpv4(text);
  const plain = text.split("%", 1)[0] as string;
  return isIPv6(plain) ? parseIpv6(plain) : undefined;
}

/** True for an address of IPv4, also if it is written as IPv6. */
export function isMappedIpv4(address: IpNumber): boolean {
  return address >> 32n === 0xffffn;
}

/**
 * The key under which limits count an address: the address itself, or with IPv6 its /64, since a customer
 * who has one address of a /64 has all of them.
 *
 * @param address A connection's `remoteAddress`.
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
