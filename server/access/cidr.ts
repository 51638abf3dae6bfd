import { type IpNumber, isMappedIpv4, parseIp } from "./ip_address.ts";

/** The first bits of an address of IPv4 that is written as one of IPv6; all of IPv4 shares them. */
const MAPPED_BITS = 96;

/** A block of addresses. */
export class Cidr {
  /** The address without its host bits. */
  readonly network: IpNumber;
  readonly hostBits: bigint;

  constructor(address: IpNumber, prefixBits: number) {
    this.hostBits = BigInt(128 - prefixBits);
    this.network = address >> this.hostBits;
  }

  includes(address: IpNumber): boolean {
    return address >> this.hostBits === this.network;
  }
}

/** Many blocks of addresses. A look-up costs one step for each length of prefix among them. */
export class CidrSet {
  readonly #networks = new Map<bigint, Set<IpNumber>>();

  constructor(blocks: Iterable<Cidr>) {
    for (const { network, hostBits } of blocks) {
      const networks = this.#networks.get(hostBits);
      if (networks === undefined) this.#networks.set(hostBits, new Set([network]));
      else networks.add(network);
    }
  }

  includes(address: IpNumber): boolean {
    for (const [hostBits, networks] of this.#networks) {
      if (networks.has(address >> hostBits)) return true;
    }
    return false;
  }
}

/**
 * Reads `192.0.2.0/24`, `2001:db8::/32`, or a single address. IPv4 may be written as IPv6:
 * `::ffff:192.0.2.0/120`.
 *
 * @throws {RangeError} if the text is none of these.
 */
export function parseCidr(text: string): Cidr {
  const [, address = "", prefix] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const number = parseIp(address);
  if (number !== undefined) {
    const isIpv4 = isMappedIpv4(number) && !address.includes(":");
    const maxBits = isIpv4 ? 32 : 128;
    const bits = prefix === undefined ? maxBits : Number(prefix);
    if (bits <= maxBits) return new Cidr(number, isIpv4 ? MAPPED_BITS + bits : bits);
  }
  throw new RangeError(
    `A block of addresses must be like 192.0.2.0/24 or 2001:db8::/32, not ${JSON.stringify(text)}`,
  );
}
