import { Buffer } from "node:buffer";
import { createHash, timingSafeEqual } from "node:crypto";
import { CidrSet, parseCidr } from "./cidr.ts";
import { parseIp } from "./ip_address.ts";

/** Who may publish and who may subscribe. What isn't given is open to everybody. */
export interface AccessOptions {
  /** Addresses that may publish, as `192.0.2.0/24`, `2001:db8::/32` or a single one. */
  readonly publishFrom?: readonly string[];
  /** Addresses that may subscribe. */
  readonly subscribeFrom?: readonly string[];
  /** Keys, one of which a client must authenticate with before it may publish. */
  readonly publishKeys?: readonly string[];
  /** Keys, one of which a client must authenticate with before it may subscribe. */
  readonly subscribeKeys?: readonly string[];
}

/** What a client may do, as bits. */
export type Permissions = number;
export const NOTHING: Permissions = 0;
export const PUBLISH: Permissions = 1;
export const SUBSCRIBE: Permissions = 2;

interface Rule {
  readonly permission: Permissions;
  readonly from: CidrSet | undefined;
  readonly keyHashes: readonly Uint8Array[] | undefined;
}

/**
 * The rules of who may do what. Where both addresses and keys are given for something, it takes
 * both. Of keys it keeps hashes only.
 */
export class AccessRules {
  readonly #rules: readonly Rule[];
  readonly #wantsKeys: boolean;

  /** @throws {RangeError} where an address or a key can't be one. */
  constructor(options: AccessOptions) {
    const { publishFrom, publishKeys, subscribeFrom, subscribeKeys } = options;
    this.#rules = [
      newRule(PUBLISH, publishFrom, publishKeys),
      newRule(SUBSCRIBE, subscribeFrom, subscribeKeys),
    ];
    this.#wantsKeys = this.#rules.some(({ keyHashes }) => keyHashes !== undefined);
  }

  /** What a client may do that hasn't authenticated. */
  withoutKey(address: string): Permissions {
    let permissions = NOTHING;
    for (const rule of this.#rules) {
      if (rule.keyHashes === undefined && includes(rule.from, address)) {
        permissions |= rule.permission;
      }
    }
    return permissions;
  }

  /**
   * What a client may do with a key besides, or `undefined` where it's none of the keys. It takes as
   * long for every key that is wrong. Where no key is wanted, each is right.
   */
  withKey(address: string, key: string): Permissions | undefined {
    const hash = hashOf(key);
    let isKnown = !this.#wantsKeys;
    let permissions = NOTHING;
    for (const { permission, from, keyHashes = [] } of this.#rules) {
      for (const known of keyHashes) {
        if (!timingSafeEqual(known, hash)) continue;
        isKnown = true;
        if (includes(from, address)) permissions |= permission;
      }
    }
    return isKnown ? permissions : undefined;
  }
}

function newRule(
  permission: Permissions,
  from: readonly string[] | undefined,
  keys: readonly string[] | undefined,
): Rule {
  for (const key of keys ?? []) if (key === "") throw new RangeError("A key can't be empty");
  return {
    permission,
    from: from === undefined ? undefined : new CidrSet(from.map(parseCidr)),
    keyHashes: keys?.map(hashOf),
  };
}

/** Hashes are compared instead of keys: they are of one length, and tell nothing about the keys. */
function hashOf(key: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(Buffer.from(key)).digest());
}

function includes(networks: CidrSet | undefined, address: string): boolean {
  if (networks === undefined) return true;
  const number = parseIp(address);
  return number !== undefined && networks.includes(number);
}
