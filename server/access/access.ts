import { Buffer } from "node:buffer";
import { createHmac, randomBytes } from "node:crypto";
import { CidrSet, parseCidr } from "./cidr.ts";
import { parseIp } from "./ip_address.ts";

/** Rules for publishing and subscribing. Without a rule, every client may. */
export interface AccessOptions {
  /** Addresses that may publish, as `192.0.2.0/24`, `2001:db8::/32` or a single one. */
  readonly publishFrom?: readonly string[];
  /** Addresses that may subscribe. */
  readonly subscribeFrom?: readonly string[];
  /** Keys. A client must authenticate with one of them before it may publish. */
  readonly publishKeys?: readonly string[];
  /** Keys. A client must authenticate with one of them before it may subscribe. */
  readonly subscribeKeys?: readonly string[];
}

/** A client's permissions, as bits. */
export type Permissions = number;
export const NOTHING: Permissions = 0;
export const PUBLISH: Permissions = 1;
export const SUBSCRIBE: Permissions = 2;

const HASH_BYTES = 32;

interface Rule {
  readonly permission: Permissions;
  readonly from: CidrSet | undefined;
  readonly keyHashes: ReadonlySet<string> | undefined;
}

/**
 * Decides what a client may do, by its address and its key. If a rule has both addresses and keys, a
 * client needs both. Of keys only hashes are kept.
 *
 * A key is found by its hash, so the look-up costs the same however many keys there are. Its duration
 * reveals nothing: the hashes depend on a secret that each object draws anew, so a client can't choose
 * keys whose hashes come close to another's.
 */
export class AccessRules {
  readonly #rules: readonly Rule[];
  readonly #wantsKeys: boolean;
  readonly #secret = randomBytes(HASH_BYTES);

  /** @throws {RangeError} if an address or a key isn't valid. */
  constructor(options: AccessOptions) {
    const { publishFrom, publishKeys, subscribeFrom, subscribeKeys } = options;
    this.#rules = [
      this.#newRule(PUBLISH, publishFrom, publishKeys),
      this.#newRule(SUBSCRIBE, subscribeFrom, subscribeKeys),
    ];
    this.#wantsKeys = this.#rules.some(({ keyHashes }) => keyHashes !== undefined);
  }

  /** The permissions of a client that hasn't authenticated. */
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
   * The permissions that a key adds, or `undefined` if the key is wrong. If no rule wants a key, every key
   * is right, and adds nothing.
   */
  withKey(address: string, key: string): Permissions | undefined {
    const hash = this.#hashOf(key);
    let isKnown = !this.#wantsKeys;
    let permissions = NOTHING;
    for (const { permission, from, keyHashes } of this.#rules) {
      if (keyHashes === undefined || !keyHashes.has(hash)) continue;
      isKnown = true;
      if (includes(from, address)) permissions |= permission;
    }
    return isKnown ? permissions : undefined;
  }

  #newRule(
    permission: Permissions,
    from: readonly string[] | undefined,
    keys: readonly string[] | undefined,
  ): Rule {
    for (const key of keys ?? []) if (key === "") throw new RangeError("A key can't be empty");
    return {
      permission,
      from: from === undefined ? undefined : new CidrSet(from.map(parseCidr)),
      keyHashes: keys && new Set(keys.map((key) => this.#hashOf(key))),
    };
  }

  #hashOf(key: string): string {
    return createHmac("sha256", this.#secret).update(Buffer.from(key)).digest("hex");
  }
}

function includes(networks: CidrSet | undefined, address: string): boolean {
  if (networks === undefined) return true;
  const number = parseIp(address);
  return number !== undefined && networks.includes(number);
}
