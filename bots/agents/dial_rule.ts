import { BlockList, isIP } from "node:net";
import { quote, UsageError } from "../../cli/command_line.ts";
import type { DialRule } from "../run/target.ts";

/** Loopback, and the networks that are private by RFC 1918 and RFC 4193. */
const PRIVATE = "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7";

/**
 * The rule of `--may-dial`.
 *
 * @param text Blocks of addresses, or addresses, with commas in between. Without it the rule allows loopback
 * and private addresses.
 * @throws {UsageError} if one is none.
 */
export function parseDialRule(text: string | undefined): DialRule {
  const blocks = new BlockList();
  for (const block of (text ?? PRIVATE).split(",")) add(blocks, block);
  return {
    text: text ?? "loopback and private addresses",
    allows(address) {
      const family = isIP(address);
      return family !== 0 && blocks.check(address, family === 4 ? "ipv4" : "ipv6");
    },
  };
}

function add(blocks: BlockList, block: string): void {
  const [, address = "", prefix] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(block) ?? [];
  const family = isIP(address);
  const mostBits = family === 4 ? 32 : 128;
  const bits = prefix === undefined ? mostBits : Number(prefix);
  if (family === 0 || address.includes("%") || bits > mostBits) {
    throw new UsageError(
      `--may-dial takes addresses such as 10.0.0.0/8,192.0.2.7 or 2001:db8::/32, not ${
        quote(block)
      }`,
    );
  }
  blocks.addSubnet(address, bits, family === 4 ? "ipv4" : "ipv6");
}
